import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ChannelReport, FORWARD_DROPS } from '../../src/server/forward/report.ts';
import { blockRows, flowRows } from '../forward.ts';
import { findGaps, msPerGb } from './flow.ts';

const WHOLE: ChannelReport = {
  name: 'd0',
  group: null,
  mode: 'single',
  state: 'waiting',
  why: '',
  received: 100,
  pending: 0,
  delivered: 60,
  filtered: 40,
  dropped: { cut: 0, interrupted: 0, lag: 0, retention: 0, damaged: 0, removed: 0 },
  resent: 0,
  position: 0,
  lagRecords: 0,
  lagBytes: 0,
  lagMs: 0,
  destinations: [],
};

test('a channel that has answered for every record has no gaps', () => {
  assert.deepEqual(findGaps(WHOLE, 100, 60), []);
});

test('what a channel lost, doubled or still has is said', () => {
  const said = (changes: Partial<ChannelReport>): string =>
    findGaps({ ...WHOLE, ...changes }, 100, 60).join('; ');
  assert.match(said({ received: 99 }), /received 99, expected 100/);
  assert.match(said({ delivered: 59 }), /delivered 59, expected 60/);
  assert.match(said({ delivered: 100, filtered: 0 }), /delivered 100.*filtered 0, expected 40/);
  assert.match(said({ pending: 1 }), /pending 1/);
  assert.match(said({ resent: 2 }), /resent 2/);
  for (const reason of FORWARD_DROPS) {
    assert.match(said({ dropped: { ...WHOLE.dropped, [reason]: 3 } }), /dropped 3/, reason);
  }
});

test('CPU per GB is of what each side itself has sent, and the ratio that of one round', () => {
  assert.equal(msPerGb(500_000, 1e9), 500);
  const side = (bytesOut: number, cpuUs: number, allUs: number) => ({
    bytesOut,
    cpuUs,
    writeUs: cpuUs,
    allUs,
  });
  const rounds = [1, 2, 3].map((factor) => ({
    relay: side(1e9, 200_000 * factor, 400_000 * factor),
    server: side(2e9, 200_000 * factor, 200_000 * factor),
  }));
  const part = { title: 'x', destinations: 2, filter: '', bound: { atMost: 0.4 } };
  const rows = flowRows(part, 'flat out', rounds);
  const ratio = rows.find(({ target }) => target !== null)!;
  assert.equal(ratio.value, 0.5);
  assert.equal(ratio.met, false);
  assert.deepEqual(ratio.spread, [0.5, 0.5]);
  assert.match(ratio.name, /^x, flat out: /);
  assert.equal(blockRows(part, [1024, 262_144, 262_144])[0]!.value, 256);
  assert.deepEqual(blockRows(part, []), []);
});

test('with a filter the relay is compared without its reads, and also with them', () => {
  const side = { bytesOut: 1e9, cpuUs: 100_000, writeUs: 50_000, allUs: 200_000 };
  const part = { title: 'x', destinations: 4, filter: 'tag = TUR', bound: { atMost: 1.5 } };
  const ratios = flowRows(part, '1 records/s', [{ relay: side, server: side }]).filter(
    ({ unit }) => unit === 'x',
  );
  assert.deepEqual(
    ratios.map(({ value, target }) => [value, target]),
    [
      [1, '<= 1.5'],
      [0.5, null],
    ],
  );
});
