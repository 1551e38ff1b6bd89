/**
 * Metric table: every metric that /metrics shows, with the place in the snapshot where it is read.
 *
 * WHY       One list: the registry is filled from it, docs/reference/metrics.md is compared with
 *           it.
 * NAMES     millrace_<stage>_<noun>_<unit>[_total]; base units (bytes, seconds, records).
 *           `millrace_intake_*`, `millrace_sink_*` and `millrace_forward_*` are the ledgers, term
 *           by term.
 * LABELS    reason, sink, channel, destination, table, exporter, state, source: all from closed
 *           or bounded lists.
 */
import { GUARD_MODES } from '../guard-status.ts';
import { PINNING_STATES } from '../pinning-status.ts';
import type { Snapshot } from '../snapshot.ts';
import { FORWARD_METRICS } from './forward-metrics.ts';

export type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [value: number, labels?: Labels];

export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** The values at this moment; a counter never falls within one process life. */
  readonly read: (snapshot: Snapshot) => readonly Sample[];
}

type ReadOne = (snapshot: Snapshot) => number;
type ByReason = (snapshot: Snapshot) => Readonly<Record<string, number>>;

function one(name: string, help: string, read: ReadOne): Metric {
  return { name, help, labels: [], read: (snapshot) => [[read(snapshot)]] };
}

function each(name: string, help: string, label: string, read: ByReason): Metric {
  const samples = (snapshot: Snapshot): Sample[] =>
    Object.entries(read(snapshot)).map(([key, value]) => [value, { [label]: key }]);
  return { name, help, labels: [label], read: samples };
}

type SinkOf = Snapshot['sinks'][number];
function perSink(name: string, help: string, read: (sink: SinkOf) => number): Metric {
  const samples = (snapshot: Snapshot): Sample[] =>
    snapshot.sinks.map((sink) => [read(sink), { sink: sink.name }]);
  return { name, help, labels: ['sink'], read: samples };
}

type ExporterOf = Snapshot['exporters'][number];
function perExporter(name: string, help: string, read: (one: ExporterOf) => number): Metric {
  const samples = (snapshot: Snapshot): Sample[] =>
    snapshot.exporters.map((exporter) => [read(exporter), { exporter: exporter.address }]);
  return { name, help, labels: ['exporter'], read: samples };
}

const PINNING: readonly Metric[] = [
  {
    name: 'millrace_cpu_pinning_state',
    help: '1 for the state that pinning is in, 0 for the others.',
    labels: ['mode', 'state'],
    read: ({ pinning: { mode, state } }) =>
      PINNING_STATES.map((one): Sample => [one === state ? 1 : 0, { mode, state: one }]),
  },
  one(
    'millrace_cpu_pinned_threads',
    'Threads on CPUs of their choice now: workers, the main thread.',
    (s) => s.pinning.threads.filter(({ name, cpus }) => name !== 'helpers' && cpus !== '').length,
  ),
  {
    name: 'millrace_cpu_wait_ratio',
    help: 'Part of the last 10 s in which a pinned thread could run and had no CPU.',
    labels: ['thread'],
    read: (s) =>
      s.pinning.threads.flatMap(({ name, waitFraction }): Sample[] =>
        waitFraction === null ? [] : [[waitFraction, { thread: name }]],
      ),
  },
  one(
    'millrace_cpu_pins_total',
    'Threads pinned, again after a restart too.',
    (s) => s.pinning.pins,
  ),
  one(
    'millrace_cpu_helper_masks_total',
    'CPU masks of helper threads that were changed.',
    (s) => s.pinning.helperMasks,
  ),
  each(
    'millrace_cpu_fallbacks_total',
    'Times that a thread did not get or keep its CPUs, by reason.',
    'reason',
    (s) => s.pinning.fallbacks,
  ),
];

const GUARD: readonly Metric[] = [
  {
    name: 'millrace_guard_mode',
    help: '1 for the mode of the memory-corruption guard, 0 for the others.',
    labels: ['mode'],
    read: ({ guard }) => GUARD_MODES.map((mode): Sample => [guard.mode === mode ? 1 : 0, { mode }]),
  },
  one(
    'millrace_guard_faults_total',
    'Writes into protected pages that were caught; the reports name the culprits.',
    (s) => s.guard.faults,
  ),
  one(
    'millrace_guard_refused_total',
    'Times that the kernel refused to protect a slice, or to open a page.',
    (s) => s.guard.refused,
  ),
];

const SERVER_STATES = ['starting', 'running', 'draining', 'stopped'] as const;

const INTAKE: readonly Metric[] = [
  one('millrace_intake_read_bytes_total', 'Bytes read from sockets.', (s) => s.intake.read),
  one(
    'millrace_intake_journaled_bytes_total',
    'Bytes appended to the journal.',
    (s) => s.intake.journaled,
  ),
  one(
    'millrace_intake_resync_bytes_total',
    'Bytes skipped while looking for the next record.',
    (s) => s.intake.resync,
  ),
  one(
    'millrace_intake_truncated_bytes_total',
    'Bytes of half records at the end of a connection.',
    (s) => s.intake.truncated,
  ),
  each(
    'millrace_intake_dropped_bytes_total',
    'Bytes received and not journaled, by reason.',
    'reason',
    (s) => s.intake.dropped,
  ),
  one(
    'millrace_intake_in_pages_bytes',
    'Bytes received and not yet journaled.',
    (s) => s.intake.inPages,
  ),
  one(
    'millrace_intake_difference_bytes',
    'What is left over of the intake ledger; 0 = it closes.',
    (s) => s.intake.difference,
  ),
  one(
    'millrace_intake_unread_at_drain_bytes',
    'Bytes the kernel still held when the server drained.',
    (s) => s.intake.unreadAtDrain,
  ),
];

const SINK: readonly Metric[] = [
  perSink(
    'millrace_sink_received_records_total',
    'Records published to the sink.',
    (k) => k.received,
  ),
  perSink(
    'millrace_sink_delivered_records_total',
    'Records that the sink has committed.',
    (k) => k.delivered,
  ),
  perSink(
    'millrace_sink_filtered_records_total',
    'Records that the sink was told to leave out.',
    (k) => k.filtered,
  ),
  perSink(
    'millrace_sink_malformed_records_total',
    'Records that the sink could not decode.',
    (k) => k.malformed,
  ),
  {
    name: 'millrace_sink_dropped_records_total',
    help: 'Records that the sink will never deliver, by reason.',
    labels: ['sink', 'reason'],
    read: (s) =>
      s.sinks.flatMap((sink) =>
        Object.entries(sink.dropped).map(
          ([reason, value]): Sample => [value, { sink: sink.name, reason }],
        ),
      ),
  },
  perSink(
    'millrace_sink_pending_records',
    'Records published and not yet committed.',
    (k) => k.pending,
  ),
  perSink(
    'millrace_sink_difference_records',
    'What is left over of the sink ledger; 0 = it closes.',
    (k) => k.difference,
  ),
  perSink(
    'millrace_sink_lag_bytes',
    'Journal bytes published and not yet committed.',
    (k) => k.lagBytes,
  ),
  perSink(
    'millrace_sink_lag_seconds',
    'Age of the oldest record that is not committed.',
    (k) => k.lagMs / 1000,
  ),
  perSink(
    'millrace_sink_evictions_total',
    'Times that the ring evicted this reader.',
    (k) => k.evictions,
  ),
  {
    name: 'millrace_sink_source_info',
    help: '1 for the place where the sink reads now: ring, segments or stopped.',
    labels: ['sink', 'source'],
    read: (s) => s.sinks.map((sink): Sample => [1, { sink: sink.name, source: sink.source }]),
  },
];

const COLLECT: readonly Metric[] = [
  one('millrace_collect_records_total', 'Records framed.', (s) => s.recordsTotal),
  one(
    'millrace_collect_resync_runs_total',
    'Runs of garbage that were skipped.',
    (s) => s.resyncRuns,
  ),
  one('millrace_collect_open_connections', 'Connections open now.', (s) => s.connections.open),
  one(
    'millrace_collect_accepted_connections_total',
    'Connections accepted.',
    (s) => s.connections.accepted,
  ),
  one(
    'millrace_collect_limit_connections',
    'Connections allowed at once.',
    (s) => s.connections.limit,
  ),
  each(
    'millrace_collect_refused_connections_total',
    'Connections refused, by reason.',
    'reason',
    (s) => s.refused,
  ),
  each(
    'millrace_collect_closed_connections_total',
    'Connections closed before a drain, by reason.',
    'reason',
    (s) => s.closed,
  ),
  one(
    'millrace_collect_stalls_total',
    'Times that reading stopped for want of a page.',
    (s) => s.stalls.count,
  ),
  one(
    'millrace_collect_stall_seconds_total',
    'Time for which reading stopped.',
    (s) => s.stalls.ms / 1000,
  ),
  one('millrace_collect_total_pages', 'Pages of the arena.', (s) => s.pages.total),
  one('millrace_collect_free_pages', 'Pages that are free.', (s) => s.pages.free),
  one('millrace_collect_page_bytes', 'Bytes of one page.', (s) => s.pages.bytes),
];

const EXPORTER: readonly Metric[] = [
  perExporter('millrace_exporter_records_total', 'Records of the exporter.', (e) => e.records),
  perExporter('millrace_exporter_read_bytes_total', 'Bytes of the exporter.', (e) => e.bytes),
  perExporter(
    'millrace_exporter_resync_bytes_total',
    'Bytes of the exporter skipped to find a record.',
    (e) => e.resyncBytes,
  ),
  perExporter(
    'millrace_exporter_truncated_bytes_total',
    'Bytes of its half records.',
    (e) => e.truncatedBytes,
  ),
  perExporter(
    'millrace_exporter_open_connections',
    'Its connections open now.',
    (e) => e.connections,
  ),
  perExporter(
    'millrace_exporter_last_seen_timestamp_seconds',
    'When its last byte came, Unix time.',
    (e) => e.lastSeenMs / 1000,
  ),
];

const JOURNAL: readonly Metric[] = [
  one(
    'millrace_journal_position_bytes',
    'Where the next block goes in the endless log.',
    (s) => s.journal.position,
  ),
  one(
    'millrace_journal_synced_position_bytes',
    'Up to where the log is on disk for sure.',
    (s) => s.journal.syncedPosition,
  ),
  one(
    'millrace_journal_next_ordinal_records',
    'Ordinal of the next record.',
    (s) => s.journal.nextOrdinal,
  ),
  one('millrace_journal_segments', 'Segments kept.', (s) => s.journal.segments),
  one(
    'millrace_journal_on_disk_bytes',
    'Bytes of the segments on disk.',
    (s) => s.journal.bytesOnDisk,
  ),
  one(
    'millrace_journal_sync_seconds',
    'How long the last fdatasync took.',
    (s) => s.journal.syncMs / 1000,
  ),
  one(
    'millrace_journal_torn_bytes_total',
    'Bytes of torn tails cut at recovery.',
    (s) => s.journal.tornBytes,
  ),
  one('millrace_journal_errors_total', 'Writes that failed.', (s) => s.journal.errors),
];

const STORE: readonly Metric[] = [
  each(
    'millrace_decode_malformed_records_total',
    'Records that could not be decoded, by reason.',
    'reason',
    (s) => s.malformed,
  ),
  each('millrace_decode_rows_total', 'Rows decoded, by table.', 'table', (s) => s.tables),
  one('millrace_store_commits_total', 'Commits.', (s) => s.store.commits),
  one(
    'millrace_store_flush_seconds',
    'How long the last flush took.',
    (s) => s.store.flushMs / 1000,
  ),
  one('millrace_store_files', 'Parquet files in the commit log.', (s) => s.store.files),
  one(
    'millrace_store_invalid_text_total',
    'Texts that were not UTF-8 and are stored escaped.',
    (s) => s.store.invalidText,
  ),
  one(
    'millrace_store_misfits_total',
    'Values that did not fit their column and are in extra.',
    (s) => s.store.misfits,
  ),
  one('millrace_store_errors_total', 'Flushes or compactions that failed.', (s) => s.store.errors),
];

const SERVER: readonly Metric[] = [
  {
    name: 'millrace_server_info',
    help: '1, with the version.',
    labels: ['version'],
    read: (s) => [[1, { version: s.version }]],
  },
  {
    name: 'millrace_server_state',
    help: '1 for the state the server is in, 0 for the others.',
    labels: ['state'],
    read: (s) => SERVER_STATES.map((state): Sample => [s.state === state ? 1 : 0, { state }]),
  },
  one(
    'millrace_server_start_timestamp_seconds',
    'When the process started, Unix time.',
    (s) => s.startedMs / 1000,
  ),
  one(
    'millrace_server_worker_deaths_total',
    'Workers that ended by themselves and were replaced.',
    (s) => s.workerDeaths,
  ),
  one('millrace_server_log_lines_total', 'Lines that workers logged.', (s) => s.log.lines),
  each(
    'millrace_server_log_dropped_lines_total',
    'Lines of workers that were lost, by reason.',
    'reason',
    (s) => s.log.dropped,
  ),
  one(
    'millrace_server_resident_memory_bytes',
    'Resident memory of the process.',
    (s) => s.process.rssBytes,
  ),
  one(
    'millrace_server_cpu_seconds_total',
    'CPU time of all threads, user and system.',
    (s) => s.process.cpuSeconds,
  ),
];

export const METRICS: readonly Metric[] = [
  ...SERVER,
  ...PINNING,
  ...GUARD,
  ...INTAKE,
  ...SINK,
  ...FORWARD_METRICS,
  ...COLLECT,
  ...EXPORTER,
  ...JOURNAL,
  ...STORE,
];
