import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../toolkit/base/errors.ts';
import { PROBE_NAMES, probeKernel } from '../toolkit/output/index.ts';
import { addonSkipReason } from '../toolkit/sys/index.ts';
import {
  CHOICE_HEAD,
  choiceRows,
  PROBE_HEAD,
  probeReport,
  probeRows,
  REASON_HEAD,
  reasonRows,
  routeTo,
  whyLines,
} from './probe-text.ts';

const needsAddon = { skip: addonSkipReason() };

test(
  'the report has every probe, and a choice with a reason for every connection',
  needsAddon,
  () => {
    const probe = probeKernel();
    const rows = probeRows(probe);
    assert.deepEqual(
      rows.map(([name]) => name),
      [...PROBE_NAMES, 'pipes', 'memory'],
    );
    for (const row of rows) {
      assert.equal(row.length, PROBE_HEAD.length);
      assert.match(row[1]!, /^(?:yes|no)$/);
    }
    const { choices } = probeReport(probe);
    for (const kind of ['tcp', 'udp', 'unixStream', 'unixDatagram', 'sctp']) {
      assert.ok(choices.some(({ socket }) => socket.kind === kind));
    }
    for (const row of choiceRows(choices)) {
      assert.equal(row.length, CHOICE_HEAD.length);
    }
    for (const choice of choices) {
      assert.ok(whyLines(choice).every((line) => line.trim().length > 10));
      const reasons = reasonRows(choice);
      for (const row of reasons) assert.equal(row.length, REASON_HEAD.length);
      if (choice.choice === null) continue;
      assert.equal(reasons.filter(([, , verdict]) => verdict === 'chosen').length, 1);
    }
  },
);

test('the way to a host: only choices for its place', needsAddon, async () => {
  for (const host of ['127.0.0.1', '::1', 'localhost']) {
    const route = await routeTo(host);
    assert.equal(route.place, 'local');
    const { choices } = probeReport(probeKernel(), route);
    assert.ok(choices.length > 3);
    for (const { socket } of choices) {
      assert.equal(socket.place, 'local');
      assert.ok(!socket.kind.startsWith('unix'));
      assert.equal(socket.reason, route.reason);
    }
  }
});

test('a host that is not to be found is one clear error', needsAddon, async () => {
  await assert.rejects(
    routeTo('no-such-host.invalid'),
    (error) => error instanceof MillraceError && error.code === 'MR_ADDRESS',
  );
});

test('what nothing can send is told, too', needsAddon, () => {
  const probe = { ...probeKernel(), sendfile: { available: false, detail: 'refused' } };
  const { choices } = probeReport(probe);
  const file = choices.find(({ payload }) => payload === 'file')!;
  assert.equal(file.choice, null);
  assert.match(reasonRows(file)[0]![3]!, /sendfile is not to be had: refused/);
  assert.match(whyLines(file).join(), /sendfile/);
});
