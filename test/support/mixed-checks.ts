/**
 * Mixed checks: the totals of the simulated SCEs against what server, journal and store counted.
 */
import assert from 'node:assert/strict';
import { TABLES } from '../../src/rdr/index.ts';
import { HOSTILE_TEXTS } from '../../src/simulator/index.ts';
import { expectedRecords, type MixedRun, queryRows, readJournal, sum } from './mixed-run.ts';

/** Counters of the server: by reason, by table, resync and truncated. */
export function checkCounters({ sent, snapshot }: MixedRun): void {
  const { intake } = snapshot;
  assert.equal(snapshot.recordsTotal, sent.records);
  assert.equal(intake.resync, sent.resync.bytes);
  assert.equal(snapshot.resyncRuns, sent.resync.runs);
  assert.equal(intake.truncated, sent.truncated.bytes);
  assert.deepEqual(present(snapshot.malformed), present(sent.malformed));
  const tables = Object.entries(snapshot.tables).filter(([name]) => {
    return TABLES.some(({ tableName }) => tableName === name);
  });
  assert.deepEqual(present(Object.fromEntries(tables)), present(sent.tables));
  const exporters = new Map<string, { records: number; bytes: number }>();
  for (const { localAddress, records, bytes } of sent.connections) {
    const before = exporters.get(localAddress) ?? { records: 0, bytes: 0 };
    exporters.set(localAddress, {
      records: before.records + records,
      bytes: before.bytes + bytes,
    });
  }
  assert.equal(snapshot.exporters.length, exporters.size);
  for (const exporter of snapshot.exporters) {
    const { address, records, bytes } = exporter;
    assert.deepEqual({ records, bytes }, exporters.get(address), address);
  }
}

/** The journal holds, of every connection, exactly the records that it sent. */
export function checkJournal({ sent, dataFolder, stream }: MixedRun): void {
  const journaled = readJournal(dataFolder);
  assert.equal(journaled.length, sent.connections.length);
  sent.connections.forEach((connection, index) => {
    const found = journaled.find(({ exporter, port }) => {
      return exporter === connection.localAddress && port === connection.localPort;
    });
    const expected = expectedRecords(stream, index, connection.records);
    assert.equal(found?.records, connection.records);
    assert.equal(found?.bytes, expected.bytes);
    assert.equal(found?.sha256, expected.sha256, `connection ${index}`);
  });
}

/** The store holds exactly the rows of the totals, found by its query engine. */
export async function checkStore({ sent, dataFolder }: MixedRun): Promise<void> {
  const names = TABLES.map(({ tableName }) => tableName!);
  const counts = names.map((name) => {
    return `SELECT '${name}' AS name, count(*) AS rows, count(extra) AS extras FROM ${name}`;
  });
  const found = await queryRows(dataFolder, counts.join(' UNION ALL '));
  const rows = Object.fromEntries(found.map(({ name, rows }) => [String(name), Number(rows)]));
  assert.deepEqual(present(rows), present(sent.tables));
  const extras = found.reduce((total, row) => total + Number(row.extras), 0);
  const { unknown_tag, ...withExtra } = sent.other;
  assert.equal(extras, sum(withExtra));
  const [others] = await queryRows(dataFolder, 'SELECT count(*) AS rows FROM other_records');
  assert.equal(Number(others?.rows), unknown_tag);
  const reasons = await queryRows(
    dataFolder,
    'SELECT reason, count(*) AS rows FROM malformed_records GROUP BY reason',
  );
  const byReason = reasons.map(({ reason, rows: count }) => [String(reason), Number(count)]);
  assert.deepEqual(present(Object.fromEntries(byReason)), present(sent.malformed));
  await checkSequences(sent.records, dataFolder, names);
  await checkTexts(sent.hostileText, dataFolder);
}

/** What the sink's ledger says of a drained server is what its store holds, whatever was sent. */
export async function checkStoredSums({ snapshot, dataFolder }: MixedRun): Promise<void> {
  const names = [...TABLES.map(({ tableName }) => tableName!), 'other_records'];
  const union = names.map((name) => `SELECT count(*) AS rows FROM ${name}`).join(' UNION ALL ');
  const [stored] = await queryRows(dataFolder, `SELECT sum(rows) AS rows FROM (${union})`);
  const [malformed] = await queryRows(dataFolder, 'SELECT count(*) AS rows FROM malformed_records');
  const ledger = snapshot.sinks.find(({ name }) => name === 'store');
  assert.equal(Number(stored?.rows), ledger?.delivered);
  assert.equal(Number(malformed?.rows), ledger?.malformed);
}

/** Every record is there once: its flow context id is its ordinal in its connection. */
async function checkSequences(
  records: number,
  dataFolder: string,
  names: readonly string[],
): Promise<void> {
  const [wrong] = await queryRows(
    dataFolder,
    names
      .map((name) => {
        return (
          `SELECT connection_id, record_ordinal FROM ${name} ` +
          'WHERE record_ordinal <> header_flow_context_id'
        );
      })
      .join(' UNION ALL ')
      .replace(/^/, 'SELECT count(*) AS rows FROM (')
      .concat(')'),
  );
  assert.equal(Number(wrong?.rows), 0, 'record_ordinal counts the records of a connection');
  const all = [...names, 'malformed_records', 'other_records'];
  const union = all.map((name) => `SELECT connection_id, record_ordinal FROM ${name}`);
  const [total] = await queryRows(
    dataFolder,
    `SELECT count(*) AS records, count(DISTINCT (connection_id, record_ordinal)) AS places
     FROM (${union.join(' UNION ALL ')})`,
  );
  assert.equal(Number(total?.records), records);
  assert.equal(Number(total?.places), records, 'nothing is stored twice');
}

/** Hostile texts come back as they were sent: text that is not UTF-8 in its reversible form. */
async function checkTexts(
  expected: Readonly<Record<string, number>>,
  dataFolder: string,
): Promise<void> {
  const counts = Object.entries(HOSTILE_TEXTS).map(([kind, bytes]) => {
    const hex = storedForm(bytes).toString('hex').toUpperCase();
    return (
      `SELECT '${kind}' AS kind, count(*) AS rows FROM transaction_usage ` +
      `WHERE hex(encode(access_string)) = '${hex}' AND hex(encode(info_string)) = '${hex}'`
    );
  });
  const rows = await queryRows(dataFolder, counts.join(' UNION ALL '));
  const found = Object.fromEntries(rows.map(({ kind, rows: count }) => [kind, Number(count)]));
  assert.deepEqual(found, { ...expected });
}

/** A backslash doubled, bytes that are no UTF-8 as `\xHH`; no text here has other characters. */
function storedForm(bytes: Uint8Array): Buffer {
  const text = Array.from(bytes, (byte) => {
    if (byte === 0x5c) return '\\\\';
    return byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
  });
  return Buffer.from(text.join(''));
}

function present(counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
