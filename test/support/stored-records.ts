/**
 * What a store holds of each connection, in the order of ordinals, and what a stream should be.
 */
import { frameLength } from '../../src/rdr/index.ts';
import { QueryEngine } from '../../src/server/store/query.ts';
import { readRows } from '../../src/server/store/render.ts';
import { STORE_TABLES } from '../../src/server/store/tables.ts';
import { namedMix, RecordStream, SubscriberPool } from '../../src/simulator/index.ts';

/** A stream whose records all carry `marker` as their processor id. */
export interface MarkedStream {
  readonly marker: number;
  readonly bytes: Uint8Array;
  /** ends[i] is the offset behind record i. */
  readonly ends: readonly number[];
  /** Flow context ids, by record. */
  readonly flowIds: readonly number[];
}

export function makeMarkedStream(seed: number, marker: number, byteCount: number): MarkedStream {
  const stream = new RecordStream({
    seed,
    mix: namedMix('all'),
    subscribers: new SubscriberPool(500),
  });
  const bytes = new Uint8Array(byteCount + 65_536);
  const view = new DataView(bytes.buffer);
  let filled = 0;
  while (filled < byteCount) filled += stream.fill(bytes, filled, bytes.length, 100);
  const ends: number[] = [];
  const flowIds: number[] = [];
  for (let at = 0; at < filled; ) {
    bytes[at] = marker;
    flowIds.push(view.getUint32(at + 11));
    at += frameLength(bytes, at);
    ends.push(at);
  }
  return { marker, bytes: bytes.subarray(0, filled), ends, flowIds };
}

export interface StoredRecord {
  readonly connectionId: number;
  readonly ordinal: number;
  readonly flowId: number;
}

/** Marker -> stored records, by ordinal. */
export async function storedByMarker(dataDir: string): Promise<Map<number, StoredRecord[]>> {
  const engine = await QueryEngine.open(dataDir);
  try {
    const columns =
      'header_processor_id AS marker, connection_id AS c, record_ordinal AS o,' +
      ' header_flow_context_id AS f';
    const tables = STORE_TABLES.filter(({ kind }) => kind === 'records');
    const union = tables.map(({ name }) => `SELECT ${columns} FROM "${name}"`).join(' UNION ALL ');
    const rows = await readRows(await engine.run(`SELECT * FROM (${union}) ORDER BY o`));
    const byMarker = new Map<number, StoredRecord[]>();
    for (const row of rows) {
      const marker = Number(row.marker);
      const records = byMarker.get(marker) ?? [];
      byMarker.set(marker, records);
      records.push({
        connectionId: Number(row.c),
        ordinal: Number(row.o),
        flowId: Number(row.f),
      });
    }
    return byMarker;
  } finally {
    engine.close();
  }
}
