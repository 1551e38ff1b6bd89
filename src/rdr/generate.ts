/**
 * Generated decoder: JavaScript source for one layout, that decodes a run of its records.
 *
 * WHY        A loop over fields that switches on each type spends most of its time finding out what
 *            it knew from the last record. A layout (tag, field count and the sequence of type
 *            bytes) is stable for hours, so its decoder is straight-line code with constant
 *            offsets.
 * SHAPE      One function per layout. It takes a list of frames that look like its layout, with its
 *            state in locals, and stops in front of the first that differs in anything.
 * GUARDS     Nothing is believed: each type byte and each length is compared, each text length is
 *            bounded by its frame, the fields must end where the frame ends. A record whose guard
 *            fails is not appended; the caller walks it and finds out why. So a wrong guess costs
 *            time only.
 * SPEED      - Columns are constants of the function's closure: V8 then knows their addresses.
 *            - A small field's header and value are read by overlapping 4-byte loads.
 *            - Text is copied 4 bytes at a time, and looked at on the way.
 *            - High words of integers are touched only in runs with negative values.
 *            bench/rdr-decode.ts measures.
 * REFUSED    Text read as 8-byte floats (NaN bits may change); a call per field; WebAssembly (the
 *            columns must be ordinary memory); decoding runs of neighbours instead of lists (in a
 *            mixed stream most runs are one record long, and changing decoders cost 100 to 250 ns a
 *            record).
 */
import type { RecordColumns } from './columns.ts';
import {
  DESTINATION_PORT_OFFSET,
  FIELD_COUNT_OFFSET,
  FIXED_LENGTH,
  FLOW_CONTEXT_ID_OFFSET,
  PREFIX_BYTES,
  SOURCE_IP_SAMPLE_OFFSET,
  TAG_OFFSET,
} from './constants.ts';
import { appendExtra, EXTRA_BYTES_MAX, writeExtra } from './extra.ts';
import { emitFields, type FieldPlan, isSigned, planFields } from './generate-fields.ts';
import { scanTextFlags } from './text.ts';

/** Numbers per frame in a run's list: offset from `base`, frame bytes, record index. */
export const RUN_STRIDE = 3;

/**
 * Decodes the frames `list[RUN_STRIDE * i ..]` for i in `from .. to`; their bounds were checked.
 * Stops at a frame of another layout, or when rows or text heaps are full. Returns the first i not
 * decoded.
 */
export type RunDecoder = (
  bytes: Uint8Array,
  view: DataView,
  base: number,
  list: Int32Array,
  from: number,
  to: number,
) => number;

/** Sign extension of the rows `first .. end` of a signed column that has negative values. */
function extendSign(
  column: { words: Int32Array; hasHighWords: boolean },
  first: number,
  end: number,
) {
  const words = column.words;
  for (let row = first; row < end; row++) words[2 * row + 1] = words[2 * row]! >> 31;
  column.hasHighWords = true;
}

/** What generated code may call; all of it is off the normal path. */
const HELPERS = { appendExtra, extendSign, scanTextFlags, writeExtra };

interface LayoutPlan {
  readonly columns: RecordColumns;
  readonly fieldCount: number;
  readonly fields: readonly FieldPlan[];
  /** Indexes of columns that are filled with text. */
  readonly texts: readonly number[];
  /** Indexes of columns that are filled with signed integers. */
  readonly signed: readonly number[];
  /** Fields that go to `extra`. */
  readonly extras: readonly FieldPlan[];
  /** Indexes of columns that get NULL. */
  readonly nulls: readonly number[];
}

function planLayout(columns: RecordColumns, types: Uint8Array): LayoutPlan {
  const fields = planFields(columns, types);
  const ints = fields.filter((field) => field.kind === 'int' && isSigned(field.type));
  return {
    columns,
    fieldCount: types.length,
    fields,
    texts: fields.filter((field) => field.kind === 'text').map((field) => field.index),
    signed: ints.map((field) => field.index),
    extras: fields.filter((field) => field.kind === 'extra'),
    nulls: columns.fields.flatMap((column, k) => (fields[k]?.kind === column.kind ? [] : [k])),
  };
}

/** Constants of the closure: the arrays of every column. */
function emitConstants(plan: LayoutPlan): string[] {
  const lines = [
    'const h = columns.header, capacity = columns.capacity, extra = columns.extra;',
    'const extraEnds = extra.ends, hIndex = columns.recordIndex, hLength = h.length;',
    'const hProcessor = h.processorId, hSource = h.sourceIpSample, hFlow = h.flowContextId;',
    'const hDestination = h.destinationIpSample, hSourcePort = h.sourcePort;',
    'const hDestinationPort = h.destinationPort, hCount = h.fieldCount;',
  ];
  plan.columns.fields.forEach((column, k) => {
    lines.push(`const c${k} = columns.fields[${k}], u${k} = c${k}.valid;`);
    if (column.kind === 'int') lines.push(`const w${k} = c${k}.words;`);
    else if (column.kind === 'text') lines.push(`const e${k} = c${k}.ends;`);
    else lines.push(`const f${k} = c${k}.values;`);
  });
  return lines;
}

/** Column state into locals. */
function emitOpen(plan: LayoutPlan): string[] {
  const lines = ['const first = columns.rowCount;', 'let row = first, i = from;'];
  for (const k of plan.texts) {
    lines.push(`const b${k} = c${k}.byteCount;`);
    lines.push(`let d${k} = c${k}.view, p${k} = b${k}, m${k} = d${k}.byteLength, a${k} = 0;`);
  }
  for (const k of plan.signed) lines.push(`let g${k} = 0;`);
  return lines;
}

/** In front of a record: is it of this tag and field count, and is there room for its text? */
function emitEnter(plan: LayoutPlan): string[] {
  const full = '{ columns.isTextFull = true; break; }';
  const lines = [
    `const slot = ${RUN_STRIDE} * i, offset = base + list[slot], frameBytes = list[slot + 1];`,
    'const frameEnd = offset + frameBytes, row2 = row + row;',
    `if (view.getInt32(offset + ${TAG_OFFSET}) !== ${plan.columns.entry.tag! | 0}) break;`,
    `if (view.getUint8(offset + ${FIELD_COUNT_OFFSET}) !== ${plan.fieldCount}) break;`,
  ];
  for (const k of plan.texts) {
    lines.push(`if (p${k} + frameBytes > m${k}) {`);
    lines.push(`  if (!c${k}.reserve(p${k}, frameBytes)) ${full}`);
    lines.push(`  d${k} = c${k}.view; m${k} = d${k}.byteLength;`);
    lines.push('}');
  }
  if (plan.extras.length > 0) {
    lines.push(`if (!extra.reserve(extra.byteCount, ${EXTRA_BYTES_MAX})) ${full}`);
  }
  return lines;
}

/** Behind the last guard: header items, NULLs, `extra`; the row now counts. */
function emitCommit(plan: LayoutPlan): string[] {
  const lines = [
    'hProcessor[row] = view.getUint8(offset);',
    `hLength[row] = frameBytes - ${PREFIX_BYTES};`,
    `const samples = view.getInt32(offset + ${SOURCE_IP_SAMPLE_OFFSET});`,
    // Stores into byte and 16-bit columns keep the low bits.
    'hSource[row] = samples >>> 24; hDestination[row] = samples >>> 16;',
    'hSourcePort[row] = samples;',
    `hDestinationPort[row] = view.getUint16(offset + ${DESTINATION_PORT_OFFSET});`,
    `hFlow[row] = view.getInt32(offset + ${FLOW_CONTEXT_ID_OFFSET});`,
    `hCount[row] = ${plan.fieldCount};`,
    'hIndex[row] = list[slot + 2];',
  ];
  for (const k of plan.texts) lines.push(`p${k} = q${k};`);
  for (const k of plan.nulls) {
    lines.push(`u${k}[row] = 0;`);
    if (plan.columns.fields[k]!.kind === 'text') lines.push(`e${k}[row] = c${k}.byteCount;`);
  }
  if (plan.extras.length === 0) {
    lines.push('extraEnds[row] = extra.byteCount;');
  } else {
    lines.push("let json = '';");
    for (const { index, type } of plan.extras) {
      const length = FIXED_LENGTH[type] === 0 ? `n${index}` : FIXED_LENGTH[type];
      const where = `${index}, ${type}, x${index}, ${length}`;
      lines.push(`json = appendExtra(json, bytes, view, ${where});`);
    }
    lines.push('writeExtra(columns, row, json);');
  }
  lines.push('row++; i++;');
  return lines;
}

/** Locals back into column state. */
function emitClose(plan: LayoutPlan): string[] {
  const lines = ['const rows = row - first;'];
  for (const k of plan.texts) {
    lines.push(`c${k}.byteCount = p${k};`);
    lines.push(`if ((a${k} & 0x80808080) !== 0)`);
    lines.push(`  c${k}.flags |= scanTextFlags(c${k}.bytes, b${k}, p${k});`);
  }
  for (const k of plan.signed) lines.push(`if (g${k} < 0) extendSign(c${k}, first, row);`);
  for (const k of plan.nulls) lines.push(`c${k}.nullCount += rows;`);
  const misfits = plan.extras.filter((field) => field.index < plan.columns.fields.length).length;
  if (plan.extras.length === 0) lines.push('extra.nullCount += rows;');
  else {
    lines.push(`columns.misfitCount += ${misfits} * rows;`);
    lines.push(`columns.surplusCount += ${plan.extras.length - misfits} * rows;`);
  }
  lines.push('columns.rowCount = row;', 'return i;');
  return lines;
}

/** Source text of a layout's factory, for tests and for people who want to read it. */
export function generateSource(columns: RecordColumns, types: Uint8Array): string {
  const plan = planLayout(columns, types);
  return [
    "'use strict';",
    ...emitConstants(plan),
    'return function decodeRun(bytes, view, base, list, from, to) {',
    ...emitOpen(plan).map((line) => `  ${line}`),
    '  while (i < to && row < capacity) {',
    ...[...emitEnter(plan), ...emitFields(plan.fields), ...emitCommit(plan)].map((l) => `    ${l}`),
    '  }',
    ...emitClose(plan).map((line) => `  ${line}`),
    '};',
  ].join('\n');
}

/** Compiles the decoder of a layout; it fills these columns and no others. */
export function generateDecoder(columns: RecordColumns, types: Uint8Array): RunDecoder {
  // Made of numbers and our own text only: nothing received gets into the source.
  // oxlint-disable-next-line typescript/no-implied-eval
  const make = new Function('columns', ...Object.keys(HELPERS), generateSource(columns, types));
  return make(columns, ...Object.values(HELPERS)) as RunDecoder;
}
