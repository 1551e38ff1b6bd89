/**
 * The live page: one stream of snapshots in, every panel out of the same one.
 */
import type { Snapshot } from '../../src/server/snapshot.ts';
import { showBars } from './bars.ts';
import { Charts } from './charts.ts';
import { byId, setText } from './dom.ts';
import { showExceptions } from './exceptions.ts';
import { showExporters } from './exporters.ts';
import { showFields } from './fields.ts';
import { showForward, startForward } from './forward.ts';
import { showLamps } from './lamps.ts';
import { showLedgers } from './ledgers.ts';
import { bytes, clock, duration, integer } from './number-text.ts';
import { startRecords } from './records.ts';
import { Stream, type StreamState } from './stream.ts';
import { startTheme } from './theme.ts';
import { Tops } from './tops.ts';
import { showWelcome } from './welcome.ts';

const PULSE_TEXT: Readonly<Record<StreamState, string>> = {
  waiting: 'connecting',
  live: 'live',
  stale: 'no data',
};

const charts = new Charts();
let shown: Snapshot | null = null;

function show(snapshot: Snapshot): void {
  showFields(snapshot);
  showLamps(byId('lamps'), snapshot);
  showLedgers(byId('ledgers'), snapshot);
  showExporters(snapshot);
  showForward(snapshot);
  showExceptions(byId('exceptions'), snapshot);
  showTables(snapshot);
  const isEmpty = showWelcome(snapshot);
  document.body.classList.toggle('is-empty', isEmpty);
  setText(byId('listeners'), snapshot.listeners.join(', ') || 'nothing');
  setText(byId('version'), snapshot.version);
  setText(byId('uptime'), duration(snapshot.timeMs - snapshot.startedMs));
  setText(byId('unsynced'), bytes(snapshot.journal.position - snapshot.journal.syncedPosition));
  showCpu(snapshot);
  const rate = isEmpty ? snapshot.state : `${integer(snapshot.recordsPerSecond)} records/s`;
  document.title = `${rate} · Millrace`;
  document.documentElement.dataset.snapshotMs = String(snapshot.timeMs);
  shown = snapshot;
}

function showTables({ tables }: Snapshot): void {
  const bars = Object.entries(tables)
    .filter(([, rows]) => rows > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([table, rows]) => ({ key: table, label: table, value: rows, text: integer(rows) }));
  showBars(byId('tables'), bars, 'no rows yet');
}

function showCpu(snapshot: Snapshot): void {
  if (shown === null || shown.startedMs !== snapshot.startedMs) return;
  const wallSeconds = (snapshot.timeMs - shown.timeMs) / 1000;
  if (wallSeconds <= 0) return;
  const share = (snapshot.process.cpuSeconds - shown.process.cpuSeconds) / wallSeconds;
  setText(byId('cpu'), `${(100 * share).toFixed(0)} % of one core`);
}

function showState(state: StreamState, reason: string): void {
  byId('pulse').dataset.state = state;
  setText(byId('pulse-text'), PULSE_TEXT[state]);
  document.body.classList.toggle('is-stale', state === 'stale');
  const banner = byId('banner');
  banner.hidden = state !== 'stale';
  if (state !== 'stale') return;
  const since = shown === null ? '' : ` The numbers below are those of ${clock(shown.timeMs)}.`;
  setText(banner, `No data from the server. ${reason}${since} Trying again…`);
}

startTheme();
startForward(() => {
  if (shown !== null) showForward(shown);
});
startRecords();
new Tops().start();
new Stream({
  snapshot(snapshot, isFirst) {
    show(snapshot);
    if (!isFirst) charts.add(snapshot);
    else {
      charts.load().then(
        () => charts.add(snapshot),
        // The charts then begin now; the stream says by itself when the server is away.
        () => charts.add(snapshot),
      );
    }
  },
  state: showState,
}).start();
