/**
 * A stream in which a filter passes every second record: chosen runs of one, which is the worst.
 *
 * Transaction Usage of the simulator; the server port of each record (field 6) is made 80 or 49152
 * in turn. bench/peers/relay.c filters by the same.
 */
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { FIELD_HEADER_BYTES, frameLength, HEADER_BYTES } from '../../src/rdr/index.ts';
import { assert } from '../../src/toolkit/base/assert.ts';
import { prepareStream, type StreamFile } from '../lib/stream-file.ts';

export const ALTERNATING_FILTER = 'tag = TUR and server_port < 32768';
const SERVER_PORT_FIELD = 6;
const CHOSEN_PORT = 80;
const OTHER_PORT = 49_152;

/** Sets the server port of whole records in turn; returns how many there are. */
export function alternate(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let records = 0;
  for (let at = 0; at < bytes.length; at += frameLength(bytes, at), records++) {
    let field = at + HEADER_BYTES;
    for (let i = 0; i < SERVER_PORT_FIELD; i++) {
      field += FIELD_HEADER_BYTES + view.getUint32(field + 1);
    }
    assert(view.getUint32(field + 1) === 2, 'the field is a UINT16');
    view.setUint16(field + FIELD_HEADER_BYTES, records % 2 === 0 ? CHOSEN_PORT : OTHER_PORT);
  }
  return records;
}

/** Makes the file when it is not there; an even number of records. */
export function prepareAlternating(records: number): StreamFile {
  const plain = prepareStream({ records, subscribers: 10_000, mix: 'tur', seed: 1 });
  const path = plain.path.replace(/\.rdr$/, '-alternating.rdr');
  if (!existsSync(path)) {
    const bytes = readFileSync(plain.path);
    alternate(bytes);
    const partial = `${path}.${process.pid}`;
    writeFileSync(partial, bytes);
    renameSync(partial, path);
  }
  return { path, records, bytesPerRecord: statSync(path).size / records };
}
