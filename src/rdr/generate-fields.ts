/**
 * Generated code of one record's fields: guards, loads and stores with constant offsets.
 *
 * Names in generated code: `view` the source, `at0`, `at1` ... where a stretch of fixed fields
 * begins, `frameEnd`, `row`, `row2` = 2 * row. Per field k: `v` its value, `n` and `s` length and
 * start of its text, `p` and `q` the heap's end before and after it, `d` the heap's view, `a` sign
 * bits of bytes that are not plain, `g` the OR of a signed column's values, `x` where a value for
 * `extra` starts. A failed guard leaves the loop by `break`.
 */
import type { RecordColumns } from './columns.ts';
import { FIELD_HEADER_BYTES, FIELD_TYPE, FIXED_LENGTH, HEADER_BYTES } from './constants.ts';
import { fits } from './generic.ts';

/** One field of a layout and what becomes of it. */
export interface FieldPlan {
  readonly index: number;
  readonly type: number;
  readonly kind: 'int' | 'text' | 'float' | 'extra';
}

export function planFields(columns: RecordColumns, types: Uint8Array): FieldPlan[] {
  return Array.from(types, (type, index) => {
    const column = columns.fields[index];
    const kind = column !== undefined && fits(column.kind, type) ? column.kind : 'extra';
    return { index, type, kind };
  });
}

export function isSigned(type: number): boolean {
  return type >= FIELD_TYPE.INT8 && type <= FIELD_TYPE.INT32;
}

/** Bytes a field has on the wire, or 0 when its length is its own. */
function fieldBytes(type: number): number {
  const fixed = FIXED_LENGTH[type]!;
  return fixed === 0 ? 0 : FIELD_HEADER_BYTES + fixed;
}

/** Bytes from field `first` to the end of the next text's header, or to the end of the frame. */
function fixedRun(plans: readonly FieldPlan[], first: number): number {
  let bytes = 0;
  for (const plan of plans.slice(first)) {
    const own = fieldBytes(plan.type);
    if (own === 0) return bytes + FIELD_HEADER_BYTES;
    bytes += own;
  }
  return bytes;
}

/** Guards of a fixed field at `p`, and its value as `v`. */
function loadFixed(type: number, p: string, v: string): string[] {
  // Bytes p .. p + 3 are the type and three zeros: one big-endian word.
  const head = `view.getInt32(${p}) !== ${type << 24}`;
  const lengthIs = (n: number): string => `view.getUint8(${p} + 4) !== ${n}`;
  switch (type) {
    case FIELD_TYPE.INT8:
      return [`if (${head} || ${lengthIs(1)}) break;`, `const ${v} = view.getInt8(${p} + 5);`];
    case FIELD_TYPE.UINT8:
    case FIELD_TYPE.BOOLEAN:
      return [`if (${head} || ${lengthIs(1)}) break;`, `const ${v} = view.getUint8(${p} + 5);`];
    case FIELD_TYPE.INT16:
    case FIELD_TYPE.UINT16:
      // Bytes p + 3 .. p + 6: zero, two, and the value.
      return [
        `const ${v}w = view.getInt32(${p} + 3);`,
        `if (${head} || ${v}w >>> 16 !== 2) break;`,
        `const ${v} = ${type === FIELD_TYPE.INT16 ? `(${v}w << 16) >> 16` : `${v}w & 65535`};`,
      ];
    case FIELD_TYPE.FLOAT:
      return [`if (${head} || ${lengthIs(4)}) break;`, `const ${v} = view.getFloat32(${p} + 5);`];
    default:
      // UINT32 as a signed word, too: its bits are what goes into the column.
      return [`if (${head} || ${lengthIs(4)}) break;`, `const ${v} = view.getInt32(${p} + 5);`];
  }
}

function storeFixed(plan: FieldPlan, v: string): string[] {
  const k = plan.index;
  if (plan.kind === 'float') {
    return [`f${k}[row] = ${plan.type === FIELD_TYPE.UINT32 ? `${v} >>> 0` : v};`];
  }
  // High words are 0 already; a run with negative values sets them at its end.
  const sign = isSigned(plan.type) ? [`g${k} |= ${v};`] : [];
  return [`w${k}[row2] = ${v};`, ...sign];
}

/**
 * Text of n bytes at s to the heap at p: four bytes at a time, looked at on the way. A byte that is
 * non-ASCII, below 0x20 or a backslash sets its sign bit in `a`; a borrow between bytes can only
 * follow one that is hit itself, so there are no false alarms.
 */
function copyText(k: number): string[] {
  const look = (word: string): string[] => [
    `const slash = ${word} ^ 0x5c5c5c5c;`,
    `a${k} |= ${word} | ((${word} - 0x20202020) & ~${word}) | ((slash - 0x01010101) & ~slash);`,
  ];
  return [
    `const q${k} = p${k} + n${k};`,
    `if (n${k} > 3) {`,
    `  let from = s${k}, to = p${k};`,
    `  const last = s${k} + n${k} - 4;`,
    '  for (; from <= last; from += 4, to += 4) {',
    '    const word = view.getInt32(from, true);',
    `    d${k}.setInt32(to, word, true);`,
    ...look('word').map((line) => `    ${line}`),
    '  }',
    // The last bytes by a load that ends with the text: nothing behind it is read.
    '  if (from !== last + 4) {',
    '    const word = view.getInt32(last, true);',
    `    d${k}.setInt32(q${k} - 4, word, true);`,
    ...look('word').map((line) => `    ${line}`),
    '  }',
    `} else if (n${k} > 0) {`,
    // The length bytes in front make such a load safe for 1..3 bytes, too.
    `  const word = view.getInt32(s${k} + n${k} - 4, true) >>> (8 * (4 - n${k}));`,
    `  d${k}.setInt32(p${k}, word, true);`,
    `  const plain = word | (0x20202020 << (8 * n${k}));`,
    ...look('plain').map((line) => `  ${line}`),
    '}',
    `e${k}[row] = q${k};`,
  ];
}

/** All fields of a record, in order; the frame's length is known to hold the header. */
export function emitFields(plans: readonly FieldPlan[]): string[] {
  const lines = [`const at0 = offset + ${HEADER_BYTES};`];
  lines.push(`if (at0 + ${fixedRun(plans, 0)} > frameEnd) break;`);
  let base = 'at0';
  let baseOffset = 0;
  let stretch = 0;
  for (const plan of plans) {
    const k = plan.index;
    const p = baseOffset === 0 ? base : `${base} + ${baseOffset}`;
    const bytes = fieldBytes(plan.type);
    if (bytes > 0) {
      lines.push(...loadFixed(plan.type, p, `v${k}`));
      if (plan.kind === 'extra') lines.push(`const x${k} = ${p} + 5;`);
      else lines.push(...storeFixed(plan, `v${k}`));
      baseOffset += bytes;
      continue;
    }
    lines.push(`const n${k} = view.getInt32(${p} + 1), s${k} = ${p} + 5;`);
    // Bounded before it is added to anything: sums stay small integers whatever arrives.
    lines.push(
      `if (view.getUint8(${p}) !== ${plan.type} || n${k} < 0 || n${k} > frameBytes) break;`,
    );
    base = `at${++stretch}`;
    baseOffset = 0;
    lines.push(`const ${base} = s${k} + n${k};`);
    // What follows, up to the next text and its header, must be inside the frame.
    lines.push(`if (${base} + ${fixedRun(plans, k + 1)} > frameEnd) break;`);
    if (plan.kind === 'extra') lines.push(`const x${k} = s${k};`);
    else lines.push(...copyText(k));
  }
  lines.push(`if (${base} + ${baseOffset} !== frameEnd) break;`);
  return lines;
}
