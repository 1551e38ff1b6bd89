/**
 * Status text: a snapshot as lines for people. Used by `status`, by `demo` and at the end of a
 * drain.
 */
import type { IntakeLedger, SinkLedger, Snapshot } from '../server/snapshot.ts';
import { forwardLedgerLines, forwardLines } from './forward-status-text.ts';
import { droppedTerms, termLines, verdictLine } from './ledger-text.ts';
import { bytesText, countText, spanText, table } from './text-table.ts';

/** `isAll`: every channel of the forwarder, also where there are many that are fine. */
export function statusLines(snapshot: Snapshot, isAll = false): string[] {
  const { connections, journal, stalls, pages } = snapshot;
  const { version, state } = snapshot;
  const rate = `${countText(snapshot.recordsPerSecond)} records/s`;
  const bytesRate = `${bytesText(snapshot.bytesPerSecond)}/s`;
  const open = `${connections.open} of ${connections.limit} connections open`;
  const onDisk = `${journal.segments} segments, ${bytesText(journal.bytesOnDisk)} on disk`;
  const lines = [
    `millrace ${version}, ${state} for ${spanText(snapshot.timeMs - snapshot.startedMs)}`,
    `${rate}, ${bytesRate}; ${countText(snapshot.recordsTotal)} records since the start`,
    `listening on ${snapshot.listeners.join(', ')}; ${open}`,
    `journal: position ${journal.position}, ${onDisk}`,
    `memory: ${bytesText(snapshot.process.rssBytes)}; pages ${pages.free} of ${pages.total} free`,
  ];
  if (stalls.count > 0) {
    lines.push(
      `stalls: reading stopped ${stalls.count} times for ${spanText(stalls.ms)}, no free page`,
    );
  }
  lines.push(...pinningLines(snapshot));
  lines.push(...guardLines(snapshot));
  lines.push(...reasonLines('refused connections', snapshot.refused));
  lines.push(...reasonLines('malformed records', snapshot.malformed));
  lines.push(...reasonLines('lost lines of the log', snapshot.log.dropped));
  lines.push('', ...exporterLines(snapshot));
  const forward = forwardLines(snapshot.forward, isAll, snapshot.timeMs);
  if (forward.length > 0) lines.push('', ...forward);
  lines.push('', ...ledgerLines(snapshot, isAll));
  return lines;
}

/** Nothing for `off`: nothing was asked for. */
function pinningLines({ pinning }: Snapshot): string[] {
  const { mode, state, reasons, threads, fallbacks } = pinning;
  if (mode === 'off') return [];
  const places = threads.flatMap(({ name, cpus, waitFraction }) => {
    const waits = waitFraction === null ? '' : ` (waited ${(100 * waitFraction).toFixed(1)} %)`;
    return cpus === '' ? [] : [`${name} ${cpus}${waits}`];
  });
  const words = state === 'pinned' ? places.join(', ') : reasons.join('; ');
  const text = words === '' ? '' : `: ${words}`;
  return [`cpu.pin ${mode}, ${STATE_WORDS[state]}${text}`, ...reasonLines('not pinned', fallbacks)];
}

/** Nothing for `off`. */
function guardLines({ guard: { mode, faults, refused, file } }: Snapshot): string[] {
  if (mode === 'off') return [];
  const writes = `${countText(faults)} write${faults === 1 ? '' : 's'}`;
  const found = faults === 0 ? 'no write caught' : `${writes} caught: ${file}`;
  const gaps = refused === 0 ? '' : `; the kernel refused ${countText(refused)} times`;
  return [`guard in ${mode} mode, ${found}${gaps}`];
}

const STATE_WORDS = {
  off: 'off',
  watching: 'watching the CPUs',
  pinned: 'pinned',
  notPinned: 'not pinned',
  letGo: 'let go again',
} as const;

function reasonLines(what: string, reasons: Readonly<Record<string, number>>): string[] {
  const parts = Object.entries(reasons)
    .filter(([, count]) => count > 0)
    .map(([reason, count]) => `${reason} ${countText(count)}`);
  return parts.length === 0 ? [] : [`${what}: ${parts.join(', ')}`];
}

function exporterLines({ exporters }: Snapshot): string[] {
  if (exporters.length === 0) return ['no exporter has connected yet'];
  const head = [
    'exporter',
    'state',
    'connections',
    'records',
    'records/s',
    'bytes',
    'resync bytes',
  ];
  const rows = exporters.map((exporter) => [
    exporter.address,
    exporter.state,
    String(exporter.connections),
    countText(exporter.records),
    countText(exporter.recordsPerSecond),
    bytesText(exporter.bytes),
    countText(exporter.resyncBytes),
  ]);
  return table(head, rows, [2, 3, 4, 5, 6]);
}

/**
 * All ledgers, one term a line, each with its verdict; many channels are summed but for `isAll`.
 */
export function ledgerLines(snapshot: Snapshot, isAll = false): string[] {
  const lines = intakeLines(snapshot.intake);
  for (const sink of snapshot.sinks) lines.push('', ...sinkLines(sink));
  lines.push(...forwardLedgerLines(snapshot.forward, isAll));
  return lines;
}

function intakeLines(intake: IntakeLedger): string[] {
  const unread =
    intake.unreadAtDrain > 0
      ? [`  ${countText(intake.unreadAtDrain)} bytes were left unread in the kernel at drain`]
      : [];
  return [
    'intake ledger, bytes of this process',
    ...termLines([
      ['read from sockets', intake.read],
      ['journaled', intake.journaled],
      ['resync', intake.resync],
      ['truncated', intake.truncated],
      ...droppedTerms(intake.dropped),
      ['in pages', intake.inPages],
    ]),
    verdictLine(intake.difference, 'bytes'),
    ...unread,
  ];
}

function sinkLines(sink: SinkLedger): string[] {
  return [
    `sink ledger of ${sink.name}, records, reads from ${sink.source}, ` +
      `lag ${bytesText(sink.lagBytes)} / ${spanText(sink.lagMs)}`,
    ...termLines([
      ['received', sink.received],
      ['delivered', sink.delivered],
      ['filtered', sink.filtered],
      ['malformed', sink.malformed],
      ...droppedTerms(sink.dropped),
      ['pending', sink.pending],
    ]),
    verdictLine(sink.difference, 'records'),
  ];
}
