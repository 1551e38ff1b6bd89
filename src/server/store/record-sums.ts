/**
 * Record sums: which columns of which tables feed the roll-ups, and the loops that feed them.
 *
 * FAMILIES    Transaction usage (TRAFFIC_FAMILY): one record is one session, volumes in bytes.
 *             Periodic usage (USAGE_FAMILY): kilobytes, the same traffic once more, so apart and by
 *             source. Sampled Transaction records and Generic Usage are in no roll-up.
 * NULLS       A NULL volume counts as 0; a NULL key stays NULL.
 */
import type { Column, IntColumn, RecordColumns } from '../../rdr/index.ts';
import { getWords } from './batch.ts';
import { type MinuteRollup, NULL_KEY } from './minute-rollup.ts';
import { TRAFFIC_FAMILY, USAGE_FAMILY } from './tables.ts';

export const FAMILY_NONE = 0;
export const FAMILY_TRAFFIC = 1;
export const FAMILY_USAGE = 2;

/** The columns of one table that are summed. */
export interface SumColumns {
  readonly family: typeof FAMILY_NONE | typeof FAMILY_TRAFFIC | typeof FAMILY_USAGE;
  readonly keys: readonly IntColumn[];
  /** Usage: sessions of the period. Traffic: null, one a record. */
  readonly sessions: IntColumn | null;
  readonly up: IntColumn | null;
  readonly down: IntColumn | null;
}

function intColumn(columns: RecordColumns, name: string): IntColumn {
  const column = columns.fields.find((field: Column) => field.name === name);
  if (column === undefined || column.kind !== 'int') {
    throw new Error(`${columns.tableName} has no integer column ${name}`);
  }
  return column;
}

export function sumColumnsOf(columns: RecordColumns): SumColumns {
  const name = columns.tableName;
  if (TRAFFIC_FAMILY.some((source) => source.table === name)) {
    return {
      family: FAMILY_TRAFFIC,
      keys: ['service_id', 'package_id', 'protocol_id'].map((key) => intColumn(columns, key)),
      sessions: null,
      up: intColumn(columns, 'session_upstream_volume'),
      down: intColumn(columns, 'session_downstream_volume'),
    };
  }
  if (USAGE_FAMILY.includes(name)) {
    return {
      family: FAMILY_USAGE,
      keys: [intColumn(columns, 'service_usage_counter_id')],
      sessions: intColumn(columns, 'sessions'),
      up: intColumn(columns, 'upstream_volume'),
      down: intColumn(columns, 'downstream_volume'),
    };
  }
  return { family: FAMILY_NONE, keys: [], sessions: null, up: null, down: null };
}

function keyAt(column: IntColumn, row: number): number {
  return column.valid[row] === 0 ? NULL_KEY : getWords(column.words, row);
}

/** The integer of a row, 0 for NULL. */
export function amountAt(column: IntColumn, row: number): number {
  return column.valid[row] === 0 ? 0 : getWords(column.words, row);
}

/** Adds rows from .. to - 1 of a table of the traffic family. */
export function addTraffic(
  rollup: MinuteRollup,
  group: number,
  sums: SumColumns,
  from: number,
  to: number,
): void {
  const [service, packages, protocol] = sums.keys as [IntColumn, IntColumn, IntColumn];
  const up = sums.up!;
  const down = sums.down!;
  for (let row = from; row < to; row++) {
    rollup.add(
      group,
      keyAt(service, row),
      keyAt(packages, row),
      keyAt(protocol, row),
      1,
      amountAt(up, row),
      amountAt(down, row),
    );
  }
}

/** Adds rows from .. to - 1 of a periodic table. */
export function addUsage(
  rollup: MinuteRollup,
  group: number,
  sums: SumColumns,
  from: number,
  to: number,
): void {
  const key = sums.keys[0]!;
  const sessions = sums.sessions!;
  for (let row = from; row < to; row++) {
    const count = amountAt(sessions, row);
    const up = amountAt(sums.up!, row);
    rollup.add(group, keyAt(key, row), 0, 0, count, up, amountAt(sums.down!, row));
  }
}
