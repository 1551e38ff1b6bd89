import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  fakeBlocked,
  fakeChannel,
  fakeDestination,
  fakeDown,
  fakeDropped,
  fakeForward,
  fakePair,
} from '../../test/support/fake-forward.ts';
import { FakeSource } from '../../test/support/fake-source.ts';
import { forwardLedgerLines, forwardLines } from './forward-status-text.ts';
import { ledgerLines, statusLines } from './status-text.ts';

const COLUMNS = 80;

test('a channel and its destination say all that is known of them', () => {
  const report = fakeForward([
    fakeChannel({
      dropped: fakeDropped({ lag: 12, cut: 1 }),
      resent: 34,
      destinations: [
        fakeDestination({ breaks: 3, reconnects: 2, cutRecords: 1, sentBytes: 1e9, cpuMs: 250 }),
      ],
    }),
  ]);
  assert.deepEqual(forwardLines(report, false), [
    'forwarding: 1 channel, 0 fine; slowest mediation 12 ms; CPU 310 ms/GB in all',
    '  mediation: sending (has dropped), lag 400 records, 99.2 kB, 12 ms',
    '    delivered 999,600, filtered 0, resent 34, dropped 1 cut, 12 lag',
    '    > mediation mediation.example:33000 (192.0.2.7), up, 3 connections',
    '      sent 1.0 GB, 1,000,000 records; acked 247.9 MB; CPU 250 ms/GB',
    '      by sendfile: whole blocks from the page cache',
    '      breaks 3, reconnects 2, records cut 1',
  ]);
});

test('what is wrong with a connection comes before the reason of the mechanism', () => {
  const lines = forwardLines(fakeForward([fakeDown('dead')]), false);
  const at = lines.indexOf('      192.0.2.9 port 33000: ECONNREFUSED');
  assert.ok(at > 0, lines.join('\n'));
  assert.equal(lines[at + 1], '      by sendfile: whole blocks from the page cache');
});

test('a file that a channel waits for is named, with what helps', () => {
  const lines = forwardLines(fakeForward([fakeBlocked('mediation')]), false);
  assert.deepEqual(lines.slice(1, 4), [
    '  mediation: blocked, lag 400 records, 99.2 kB, 12 ms',
    '    its position file cannot be opened: EMFILE',
    '    the remedy',
  ]);
  assert.match(lines[0]!, /0 fine/);
});

test('CPU time per GB is told once there are some', () => {
  const text = forwardLines(fakeForward([fakeChannel()]), false).join('\n');
  assert.match(text, /sent 248\.0 MB/);
  assert.doesNotMatch(text, /CPU/);
});

test('of a hundred destinations those that are not fine are listed, the worst first', () => {
  const fine = Array.from({ length: 96 }, (_, n) => fakeChannel({ name: `fine-${n}` }));
  const report = fakeForward([
    ...fine,
    fakeChannel({ name: 'lossy', dropped: fakeDropped({ retention: 9 }) }),
    fakeDown('dead', 1_000),
    fakePair('pair', true),
    fakeDown('long-dead', 90_000),
  ]);
  const lines = forwardLines(report, false);
  const names = lines.flatMap((line) => /^ {2}([\w-]+): /.exec(line)?.[1] ?? []);
  assert.deepEqual(names, ['long-dead', 'dead', 'lossy', 'pair']);
  assert.match(lines[0]!, /^forwarding: 100 channels, 96 fine; slowest long-dead 90\.0 s/);
  assert.equal(lines.at(-1), '  96 are fine and left out: --all lists them');
  assert.ok(lines.includes('  pair: sending (without first), lag 400 records, 99.2 kB, 12 ms'));
  assert.equal(forwardLines(report, true).filter((line) => / {2}fine-/.test(line)).length, 96);
});

test('when nothing works the list still ends, and fits the screen', () => {
  const dead = Array.from({ length: 100 }, (_, n) => fakeDown(`dead-${n}`));
  const lines = forwardLines(fakeForward(dead), false);
  assert.equal(lines.at(-1), '  and 75 more that are not fine: --all lists them');
  for (const line of lines) assert.ok(line.length <= COLUMNS, line);
});

test('a report that is older than the rest says so', () => {
  const report = fakeForward([fakeChannel()]);
  const [head, ...young] = forwardLines(report, false, report.timeMs + 1_900);
  const old = forwardLines(report, false, report.timeMs + 12_000);
  const said = '  as it was 12.0 s before the rest: the forwarder has said nothing since';
  assert.deepEqual(old, [head, said, ...young]);
  const snapshot = new FakeSource().snapshot();
  const forward = { ...report, timeMs: snapshot.timeMs - 12_000 };
  assert.ok(statusLines({ ...snapshot, forward }).includes(said));
});

test('nothing forwarded, nothing said', () => {
  const snapshot = new FakeSource().snapshot();
  assert.equal(snapshot.forward, null);
  assert.doesNotMatch(statusLines(snapshot).join('\n'), /forward/);
  assert.deepEqual(forwardLines(fakeForward([]), true), []);
});

test('few ledgers are shown each, many as one sum, and what does not close by itself', () => {
  const source = new FakeSource();
  const two = [fakeChannel({ name: 'a' }), fakeChannel({ name: 'b', filtered: 7 })];
  source.set({ forward: fakeForward(two) });
  const text = ledgerLines(source.snapshot()).join('\n');
  assert.match(text, /forward ledger of a, records, lag 99\.2 kB \/ 12 ms\n/);
  assert.equal(text.match(/closes: nothing/g)?.length, 4, 'intake, store, a, b');

  const many = Array.from({ length: 9 }, (_, n) => fakeChannel({ name: `c${n}`, delivered: 10 }));
  const open = fakeChannel({ name: 'open', delivered: 10, pending: 3, received: 15 });
  const lines = forwardLedgerLines(fakeForward([...many, open]), false);
  assert.deepEqual(lines, [
    '',
    'forward ledgers of 9 channels, records, summed; each of them',
    '    received   3,690',
    '  = delivered     90',
    '  + filtered       0',
    '  + pending    3,600',
    '  closes: nothing is unaccounted for',
    '',
    'forward ledger of open, records, lag 744 B / 12 ms',
    '    received   15',
    '  = delivered  10',
    '  + filtered    0',
    '  + pending     3',
    '  DOES NOT CLOSE: 2 records are unaccounted for',
  ]);
  const all = forwardLedgerLines(fakeForward([...many, open]), true);
  assert.equal(all.filter((line) => line.startsWith('forward ledger of')).length, 10);
});
