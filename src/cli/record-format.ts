/**
 * Record formats of `dump`: one record as one line of JSON, of CSV or of hex.
 *
 * CSV         The line of Cisco's Collection Manager: `<arrival, epoch ms>,<tag, decimal>,<SCE IP>,
 *             <field 1>,<field 2>,...` in wire order; addresses inside fields stay unsigned
 *             numbers. A field is quoted by RFC 4180 only where it holds a comma, a quote, CR, LF
 *             or NUL. Text is written byte for byte (lines are latin1 strings). Raw bytes know
 *             neither arrival nor exporter: those two columns are empty.
 * JSON        record-json.ts.
 * HEX         `<position> <tag> <name> <bytes>`.
 */
import { FIELD_TYPE, recordByTag } from '../rdr/index.ts';
import { formatAddress } from '../server/address.ts';
import {
  eachField,
  hexOf,
  malformedReason,
  numberAt,
  type RecordPlace,
  recordJson,
  tagHex,
  tagOf,
} from '../server/record-json.ts';

export type FormatName = 'json' | 'csv' | 'hex';

/**
 * A line without its end, or null when the format cannot show the record (CSV of a malformed one).
 */
export type Format = (place: RecordPlace) => string | null;

export const FORMATS: Readonly<Record<FormatName, Format>> = { json, csv, hex };

function hex(place: RecordPlace): string {
  const { run, offset, length } = place;
  const position = run.position + offset - run.offset;
  const name = recordByTag(tagOf(place))?.name ?? '-';
  return `${position} ${tagHex(tagOf(place))} ${name} ${hexOf(run.bytes, offset, length)}`;
}

function csv(place: RecordPlace): string | null {
  if (malformedReason(place) !== 0) return null;
  const { run } = place;
  const block = run.block;
  const columns = [
    block === null ? '' : String(Math.floor(block.arrivalUs / 1000)),
    String(tagOf(place)),
    block === null ? '' : formatAddress(block.exporter),
  ];
  eachField(place, (_, type, at, length) => {
    const value = numberAt(run.view, type, at);
    columns.push(value !== null ? String(value) : csvText(run.bytes, type, at, length));
  });
  return columns.join(',');
}

/** The bytes of a text as a latin1 string, quoted where needed; unknown types in hex. */
function csvText(bytes: Uint8Array, type: number, at: number, length: number): string {
  if (type !== FIELD_TYPE.STRING) return hexOf(bytes, at, length);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString('latin1');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is looked for
  return /[,"\r\n\u0000]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function json(place: RecordPlace): string {
  return JSON.stringify(recordJson(place));
}
