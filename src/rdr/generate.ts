/**
 * Generated decoder: JavaScript source for one layout, that decodes a run of its records.
 *
 * WHY        A loop over fields that switches on each type spends most of its time finding out what it
 *            knew from the last record. A layout (tag, field count and the sequence of type bytes) is
 *            stable for hours, so its decoder is straight-line code with constant offsets.
 * SHAPE      One function per layout. It walks consecutive records of the layout (a run) with its state
 *            in locals, and stops in front of the first record that differs in anything.
 * GUARDS     Nothing is believed: each type byte and each length is compared, each text length is
 *            bounded by its frame, the fields must end where the frame ends. A record whose guard fails
 *            is not appended; the caller walks it and finds out why. So a wrong guess costs time only.
 * SPEED      - Columns are constants of the function's closure: V8 then knows their addresses and lengths.
 *            - A small field's header and value are read by overlapping 4-byte loads.
 *            - Text is copied 4 bytes at a time, and looked at on the way (text.ts, unplainBits).
 *            - The last 1..3 bytes are copied by a load that ends with the text, so nothing is read
 *              beyond it. `bench/rdr-decode.ts` measures.
 * REFUSED    Text read as 8-byte floats (NaN bits may change); a call per field; WebAssembly (the
 *            columns must be ordinary memory).
 */
import type { RecordColumns } from './columns.ts';
import { FIELD_HEADER_BYTES, FIELD_TYPE, FIXED_LENGTH, HEADER_BYTES } from './constants.ts';
import { appendExtra, EXTRA_BYTES_MAX, writeExtra } from './extra.ts';
import { fits } from './generic.ts';
import { scanTextFlags } from './text.ts';

/**
 * Decodes records from `offset` on while they have the layout, are whole before `end`, and rows are
 * free. Returns the offset behind the last one; columns.rowCount tells how many there were.
 */
export type RunDecoder = (
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  end: number,
  recordIndex: number,
) => number;

/** What generated code may call; all of it is off the normal path. */
const HELPERS = { appendExtra, writeExtra, scanTextFlags };

/** One field of the layout and what becomes of it. */
interface FieldPlan {
  readonly index: number;
  readonly type: number;
  readonly kind: 'int' | 'text' | 'float' | 'extra';
}

function planFields(columns: RecordColumns, types: Uint8Array): FieldPlan[] {
  return Array.from(types, (type, index) => {
    const column = columns.fields[index];
    const kind = column !== undefined && fits(column.kind, type) ? column.kind : 'extra';
    return { index, type, kind };
  });
}

/** Bytes a field has on the wire, or 0 when its length is its own. */
function fieldBytes(type: number): number {
  const fixed = FIXED_LENGTH[type]!;
  return fixed === 0 ? 0 : FIELD_HEADER_BYTES + fixed;
}

/** Compares the header of a fixed field at `p`; ends the run when it differs. */
function guard(type: number, p: string): string {
  // Bytes p .. p + 3 are the type and three zeros; as a big-endian word the type stands on top.
  const head = type << 24;
  switch (FIXED_LENGTH[type]) {
    case 1:
      return `if (view.getInt32(${p}) !== ${head} || view.getUint8(${p} + 4) !== 1) break;`;
    case 2:
      // The last length byte is read together with the value.
      return `if (view.getInt32(${p}) !== ${head}) break;`;
    default:
      return `if (view.getInt32(${p}) !== ${head} || view.getUint8(${p} + 4) !== 4) break;`;
  }
}

/** An expression for the value of a fixed field at `p`, and further guards in front of it. */
function loadValue(type: number, p: string, name: string): string {
  switch (type) {
    case FIELD_TYPE.INT8:
      return `const ${name} = view.getInt8(${p} + 5);`;
    case FIELD_TYPE.UINT8:
    case FIELD_TYPE.BOOLEAN:
      return `const ${name} = view.getUint8(${p} + 5);`;
    case FIELD_TYPE.INT16:
    case FIELD_TYPE.UINT16: {
      // Bytes p + 3 .. p + 6: zero, two, and the value.
      const value = type === FIELD_TYPE.INT16 ? `(${name}w << 16) >> 16` : `${name}w & 0xffff`;
      return (
        `const ${name}w = view.getInt32(${p} + 3); if (${name}w >>> 16 !== 2) break; ` +
        `const ${name} = ${value};`
      );
    }
    case FIELD_TYPE.FLOAT:
      return `const ${name} = view.getFloat32(${p} + 5);`;
    default:
      // UINT32 as a signed word: its bits are what goes into the column.
      return `const ${name} = view.getInt32(${p} + 5);`;
  }
}

const UNSIGNED: ReadonlySet<number> = new Set([
  FIELD_TYPE.UINT8,
  FIELD_TYPE.UINT16,
  FIELD_TYPE.UINT32,
  FIELD_TYPE.BOOLEAN,
]);

function storeValue(plan: FieldPlan, name: string): string {
  const { index, type, kind } = plan;
  if (kind === 'float') {
    const value = type === FIELD_TYPE.UINT32 ? `${name} >>> 0` : name;
    return `f${index}[row] = ${value};`;
  }
  const high = UNSIGNED.has(type) ? '0' : `${name} >> 31`;
  return `w${index}[row2] = ${name}; w${index}[row2 + 1] = ${high};`;
}

/** Text of `n` bytes at `s` to the heap of column `k` at `q`. */
function copyText(k: number): string {
  return `
      const q${k} = p${k} + n${k};
      if (n${k} > 3) {
        let from = s${k}, to = p${k};
        const last = s${k} + n${k} - 4;
        for (; from <= last; from += 4, to += 4) {
          const word = view.getInt32(from, true);
          d${k}.setInt32(to, word, true);
          const slash = word ^ 0x5c5c5c5c;
          a${k} |= word | ((word - 0x20202020) & ~word) | ((slash - 0x01010101) & ~slash);
        }
        if (from !== last + 4) {
          const word = view.getInt32(last, true);
          d${k}.setInt32(q${k} - 4, word, true);
          const slash = word ^ 0x5c5c5c5c;
          a${k} |= word | ((word - 0x20202020) & ~word) | ((slash - 0x01010101) & ~slash);
        }
      } else if (n${k} > 0) {
        // The length bytes in front make a 4-byte load that ends with the text safe.
        const word = view.getInt32(s${k} + n${k} - 4, true) >>> (8 * (4 - n${k}));
        d${k}.setInt32(p${k}, word, true);
        const plain = word | (0x20202020 << (8 * n${k}));
        const slash = plain ^ 0x5c5c5c5c;
        a${k} |= plain | ((plain - 0x20202020) & ~plain) | ((slash - 0x01010101) & ~slash);
      }
      e${k}[row] = q${k};`;
}

/** The body of one record: fields in order, split at those of variable length. */
function emitFields(plans: readonly FieldPlan[]): string {
  const lines: string[] = [];
  let base = 'at0';
  let baseOffset = 0;
  let segment = 0;
  lines.push(`const at0 = offset + ${HEADER_BYTES};`);
  lines.push(`if (at0 + ${fixedRun(plans, 0)} > frameEnd) break;`);
  for (const plan of plans) {
    const p = baseOffset === 0 ? base : `${base} + ${baseOffset}`;
    const bytes = fieldBytes(plan.type);
    if (bytes > 0) {
      lines.push(guard(plan.type, p));
      lines.push(loadValue(plan.type, p, `v${plan.index}`));
      if (plan.kind === 'extra') lines.push(`const x${plan.index} = ${p} + 5;`);
      else lines.push(storeValue(plan, `v${plan.index}`));
      baseOffset += bytes;
      continue;
    }
    const k = plan.index;
    segment++;
    lines.push(`const n${k} = view.getInt32(${p} + 1), s${k} = ${p} + 5;`);
    // Bounded before it is added to anything: sums stay small integers whatever arrives.
    lines.push(`if (view.getUint8(${p}) !== ${plan.type} || n${k} < 0 || n${k} > length) break;`);
    lines.push(`const at${segment} = s${k} + n${k};`);
    // What follows up to the next text, and that text's header, must be inside the frame.
    lines.push(`if (at${segment} + ${fixedRun(plans, k + 1)} > frameEnd) break;`);
    if (plan.kind === 'extra') lines.push(`const x${k} = s${k};`);
    else lines.push(copyText(k));
    base = `at${segment}`;
    baseOffset = 0;
  }
  lines.push(`if (${base} + ${baseOffset} !== frameEnd) break;`);
  return lines.join('\n      ');
}

/** Bytes from field `first` to the end of the next variable field's header, or to the end. */
function fixedRun(plans: readonly FieldPlan[], first: number): number {
  let bytes = 0;
  for (const plan of plans.slice(first)) {
    const own = fieldBytes(plan.type);
    if (own === 0) return bytes + FIELD_HEADER_BYTES;
    bytes += own;
  }
  return bytes;
}

/** Source text of the factory's body; exported for tests and for people who want to read it. */
export function generateSource(columns: RecordColumns, types: Uint8Array): string {
  const plans = planFields(columns, types);
  const texts = plans.filter((plan) => plan.kind === 'text').map((plan) => plan.index);
  const extras = plans.filter((plan) => plan.kind === 'extra');
  const missing = columns.fields
    .map((_, i) => i)
    .filter((i) => plans[i]?.kind !== columns.fields[i]!.kind);
  const each = (list: readonly number[], line: (k: number) => string): string =>
    list.map(line).join('\n      ');
  const columnConstants = columns.fields
    .map((column, k) => {
      const arrays =
        column.kind === 'int'
          ? `w${k} = c${k}.words`
          : column.kind === 'text'
            ? `e${k} = c${k}.ends`
            : `f${k} = c${k}.values`;
      return `const c${k} = columns.fields[${k}], u${k} = c${k}.valid, ${arrays};`;
    })
    .join('\n');
  const tag = columns.entry.tag! | 0;
  return `'use strict';
const h = columns.header, capacity = columns.capacity, extra = columns.extra, extraEnds = extra.ends;
const hProcessor = h.processorId, hLength = h.length, hSource = h.sourceIpSample;
const hDestination = h.destinationIpSample, hSourcePort = h.sourcePort;
const hDestinationPort = h.destinationPort, hFlow = h.flowContextId, hCount = h.fieldCount;
const hIndex = columns.recordIndex;
${columnConstants}
return function decodeRun(bytes, view, offset, end, recordIndex) {
  const first = columns.rowCount;
  let row = first;
  ${each(texts, (k) => `let d${k} = c${k}.view, p${k} = c${k}.byteCount, m${k} = d${k}.byteLength, a${k} = 0; const b${k} = p${k};`)}
  while (row < capacity && end - offset >= ${HEADER_BYTES}) {
      const digits = view.getInt32(offset + 1) ^ 0x30303030;
      if (((digits | (digits + 0x06060606)) & 0xf0f0f0f0) !== 0) break;
      const length =
        (digits >>> 24) * 1000 + ((digits >>> 16) & 15) * 100 + ((digits >>> 8) & 15) * 10 + (digits & 15);
      const frameEnd = offset + 5 + length;
      if (frameEnd > end) break;
      if (view.getInt32(offset + 15) !== ${tag} || view.getUint8(offset + 19) !== ${types.length}) break;
      ${each(texts, (k) => `if (p${k} + length > m${k}) { if (!c${k}.reserve(p${k}, length)) { columns.isTextFull = true; break; } d${k} = c${k}.view; m${k} = d${k}.byteLength; }`)}
      ${extras.length > 0 ? `if (!extra.reserve(extra.byteCount, ${EXTRA_BYTES_MAX})) { columns.isTextFull = true; break; }` : ''}
      const row2 = row + row;
      ${emitFields(plans)}
      hProcessor[row] = view.getUint8(offset);
      hLength[row] = length;
      const samples = view.getInt32(offset + 5);
      hSource[row] = samples >>> 24;
      hDestination[row] = samples >>> 16;
      hSourcePort[row] = samples;
      hDestinationPort[row] = view.getUint16(offset + 9);
      hFlow[row] = view.getInt32(offset + 11);
      hCount[row] = ${types.length};
      hIndex[row] = recordIndex;
      ${each(texts, (k) => `p${k} = q${k};`)}
      ${each(missing, (k) => `u${k}[row] = 0;${columns.fields[k]!.kind === 'text' ? ` e${k}[row] = c${k}.byteCount;` : ''}`)}
      ${emitExtras(extras)}
      row++;
      recordIndex++;
      offset = frameEnd;
  }
  const rows = row - first;
  ${each(texts, (k) => `c${k}.byteCount = p${k}; if ((a${k} & 0x80808080) !== 0) c${k}.flags |= scanTextFlags(c${k}.bytes, b${k}, p${k});`)}
  ${each(missing, (k) => `c${k}.nullCount += rows;`)}
  ${emitTotals(extras, columns.fields.length)}
  columns.rowCount = row;
  return offset;
};`;
}

function emitExtras(extras: readonly FieldPlan[]): string {
  if (extras.length === 0) return 'extraEnds[row] = extra.byteCount;';
  const parts = extras.map(({ index, type }) => {
    const fixed = FIXED_LENGTH[type]!;
    const length = fixed === 0 ? `n${index}` : String(fixed);
    return `json = appendExtra(json, bytes, view, ${index}, ${type}, x${index}, ${length});`;
  });
  return `let json = ''; ${parts.join(' ')} writeExtra(columns, row, json);`;
}

function emitTotals(extras: readonly FieldPlan[], columnCount: number): string {
  if (extras.length === 0) return 'extra.nullCount += rows;';
  const misfits = extras.filter((plan) => plan.index < columnCount).length;
  const surplus = extras.length - misfits;
  return `columns.misfitCount += ${misfits} * rows; columns.surplusCount += ${surplus} * rows;`;
}

/** Compiles the decoder of a layout; it fills these columns and no others. */
export function generateDecoder(columns: RecordColumns, types: Uint8Array): RunDecoder {
  const make = new Function('columns', ...Object.keys(HELPERS), generateSource(columns, types));
  return make(columns, ...Object.values(HELPERS)) as RunDecoder;
}
