import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  fakeChannel,
  fakeDestination,
  fakeDropped,
  fakeForward,
  fakePair,
} from '../../../test/support/fake-forward.ts';
import { FakeSource } from '../../../test/support/fake-source.ts';
import { MALFORMED_NAMES } from '../../rdr/index.ts';
import { CHANNEL_STATES, DESTINATION_STATES, FORWARD_DROPS } from '../forward/report.ts';
import { type DashboardFigures, MetricsPage } from './metrics.ts';

const FIGURES: DashboardFigures = {
  clients: 1,
  rejected: 2,
  droppedEvents: 3,
  closedSlow: 4,
  topsComputed: 5,
};

async function samplesOf(page: MetricsPage, source: FakeSource): Promise<Map<string, number>> {
  const text = await page.render(source.snapshot(), FIGURES);
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const at = line.lastIndexOf(' ');
    samples.set(line.slice(0, at), Number(line.slice(at + 1)));
  }
  return samples;
}

test('the names are those of the reference page, both ways', () => {
  const root = path.resolve(import.meta.dirname, '../../../..');
  const page = readFileSync(path.join(root, 'docs/reference/metrics.md'), 'utf8');
  const documented = [...page.matchAll(/^\| `(millrace_\w+)` \|/gm)].map(([, name]) => name!);
  assert.deepEqual(documented.toSorted(), new MetricsPage().names.toSorted());
});

test('the reasons for malformed records are those of the reference page, both ways', () => {
  const root = path.resolve(import.meta.dirname, '../../../..');
  const page = readFileSync(path.join(root, 'docs/reference/metrics.md'), 'utf8');
  const section = page.split('### Why a record is malformed')[1]!.split('###')[0]!;
  const documented = [...section.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name!);
  assert.deepEqual(documented, MALFORMED_NAMES.slice(1));
});

test('reasons and states of forwarding are those of the reference page, both ways', () => {
  const root = path.resolve(import.meta.dirname, '../../../..');
  const page = readFileSync(path.join(root, 'docs/reference/metrics.md'), 'utf8');
  const documented = (heading: string): string[] => {
    const section = page.split(`### ${heading}\n`)[1]!.split('\n#')[0]!;
    return [...section.matchAll(/^\| `([\w-]+)`/gm)].map(([, name]) => name!);
  };
  assert.deepEqual(documented('Why a channel drops records'), FORWARD_DROPS);
  assert.deepEqual(documented('States of a channel'), CHANNEL_STATES);
  assert.deepEqual(documented('States of a destination'), DESTINATION_STATES);
});

test('names follow the rules', () => {
  for (const name of new MetricsPage().names) {
    assert.match(name, /^millrace_[a-z]+(_[a-z]+)+$/, name);
    assert.doesNotMatch(name, /_(ms|kb|mb|count)(_|$)/, `${name}: base units only`);
  }
});

test('both ledgers close in what is scraped, and equal the snapshot', async () => {
  const source = new FakeSource();
  for (let i = 0; i < 40; i += 1) source.advance();
  const [sink] = source.snapshot().sinks;
  source.set({
    sinks: [{ ...sink!, received: sink!.received + 9, dropped: { retention: 2, poison: 7 } }],
  });
  const samples = await samplesOf(new MetricsPage(), source);
  const at = (name: string): number => samples.get(name)!;
  const { intake } = source.snapshot();
  assert.equal(at('millrace_intake_read_bytes_total'), intake.read);
  assert.equal(
    at('millrace_intake_read_bytes_total'),
    at('millrace_intake_journaled_bytes_total') +
      at('millrace_intake_resync_bytes_total') +
      at('millrace_intake_truncated_bytes_total') +
      at('millrace_intake_dropped_bytes_total{reason="journal_full"}') +
      at('millrace_intake_in_pages_bytes') +
      at('millrace_intake_difference_bytes'),
  );
  const ofSink = (noun: string): number => at(`millrace_sink_${noun}{sink="store"}`);
  assert.equal(
    ofSink('received_records_total'),
    ofSink('delivered_records_total') +
      ofSink('filtered_records_total') +
      ofSink('malformed_records_total') +
      at('millrace_sink_dropped_records_total{sink="store",reason="retention"}') +
      at('millrace_sink_dropped_records_total{sink="store",reason="poison"}') +
      ofSink('pending_records') +
      ofSink('difference_records'),
  );
});

test('the ledger of a channel closes in what is scraped', async () => {
  const source = new FakeSource();
  const lossy = fakeChannel({
    name: 'farm/left',
    filtered: 500,
    dropped: fakeDropped({ lag: 3, cut: 1 }),
    destinations: [
      fakeDestination({ name: 'left', breaks: 3, reconnects: 2, cutRecords: 1, cpuMs: 1_500 }),
    ],
  });
  source.set({ forward: fakeForward([lossy, fakePair('pair', true)]) });
  const samples = await samplesOf(new MetricsPage(), source);
  const of = (noun: string, more = ''): number =>
    samples.get(`millrace_forward_${noun}{channel="farm/left"${more}}`)!;
  const dropped = FORWARD_DROPS.map((reason) => of('dropped_records_total', `,reason="${reason}"`));
  assert.deepEqual(
    dropped,
    FORWARD_DROPS.map((reason) => lossy.dropped[reason]),
  );
  assert.equal(
    of('received_records_total'),
    of('delivered_records_total') +
      of('filtered_records_total') +
      dropped.reduce((sum, value) => sum + value, 0) +
      of('pending_records') +
      of('difference_records'),
  );
  assert.equal(of('difference_records'), 0);
  assert.equal(of('lag_seconds'), 0.012);
  const left = ',destination="left"';
  assert.deepEqual(
    ['breaks_total', 'reconnects_total', 'cut_records_total'].map((noun) => of(noun, left)),
    [3, 2, 1],
  );
  assert.equal(of('destination_cpu_seconds_total', left), 1.5);
  assert.equal(of('destination_state', `${left},state="up"`), 1);
  assert.equal(of('destination_state', `${left},state="waiting"`), 0);
  const active = (name: string): number =>
    samples.get(`millrace_forward_destination_active{channel="pair",destination="${name}"}`)!;
  assert.deepEqual([active('first'), active('second')], [0, 1]);
});

test('a second scrape shows new values, not sums, and forgets what is gone', async () => {
  const source = new FakeSource();
  const page = new MetricsPage();
  source.advance();
  await samplesOf(page, source);
  source.advance();
  source.set({ exporters: source.snapshot().exporters.slice(1) });
  const samples = await samplesOf(page, source);
  assert.equal(samples.get('millrace_collect_records_total'), source.snapshot().recordsTotal);
  assert.equal(samples.get('millrace_exporter_records_total{exporter="10.20.0.11"}'), undefined);
  assert.ok(samples.get('millrace_exporter_records_total{exporter="10.20.0.12"}')! > 0);
  assert.equal(samples.get('millrace_dashboard_slow_clients_total'), 4);
});

test('a label from the network stays one label', async () => {
  const source = new FakeSource();
  const [exporter] = source.snapshot().exporters;
  source.set({ exporters: [{ ...exporter!, address: 'a"} 1\nmillrace_evil 1' }] });
  const text = await new MetricsPage().render(source.snapshot(), FIGURES);
  assert.equal(/^millrace_evil/m.test(text), false);
});
