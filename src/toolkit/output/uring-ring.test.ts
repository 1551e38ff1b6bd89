import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { EBADF, EINVAL, EMFILE, ENOMEM, ENOSYS, EPERM } from '../sys/errno.ts';
import { addonSkipReason, failCall } from '../sys/index.ts';
import { connected, openFdCount, readSome } from './connections.test-data.ts';
import { NotificationReclaim } from './notification-reclaim.ts';
import { closeThreadRing, uringOfThread } from './uring-ring.ts';

const TIMEOUT_MS = 60_000;
const limits = { skip: skipReason(), timeout: TIMEOUT_MS };

function skipReason(): string | false {
  if (addonSkipReason() !== false) return addonSkipReason();
  try {
    uringOfThread();
    return false;
  } catch (error) {
    return String(error);
  } finally {
    closeThreadRing();
  }
}

/** Connections with full buffers and a ledger each: their sends wait for the peer to read. */
function stuffed(t: TestContext, count: number, sends: number) {
  const ring = uringOfThread();
  t.after(closeThreadRing);
  const bytes = new Uint8Array(64);
  return Array.from({ length: count }, () => {
    const { fd, peer } = connected(t, 'tcp', { receiveBufferBytes: 4096 });
    const ledger = new NotificationReclaim();
    let sent = 0;
    for (let call = 0; call < sends && ledger.hasRoom(); call += 1) {
      const taken = ring.send(fd, bytes, call % 64, 64 - (call % 64), ledger, sent);
      if (taken <= 0) break;
      sent += taken;
    }
    return { fd, peer, ledger, sent };
  });
}

test('a refused ring says why, and what to use', { skip: addonSkipReason() }, () => {
  const before = openFdCount();
  const reasons = [
    [EPERM, /EPERM: a seccomp profile \(containers\) or the sysctl kernel.io_uring_disabled/],
    [ENOSYS, /ENOSYS: this kernel/],
    [ENOMEM, /ENOMEM: no memory/],
    [EINVAL, /EINVAL: this kernel is older than Linux 6.2/],
    [EMFILE, /EMFILE/],
  ] as const;
  for (const [errno, message] of reasons) {
    const fault = failCall({ call: 'uringSetup', nth: 1, errno });
    const error = { code: 'MR_OUTPUT_MECHANISM', message, remedy: /msgZerocopy/ };
    assert.throws(() => uringOfThread(), error);
    fault.restore();
  }
  assert.equal(openFdCount(), before);
});

test('a kernel that does not know the operation is refused', limits, () => {
  const before = openFdCount();
  const fault = failCall({ call: 'uringPrepareSend', nth: 1, errno: EINVAL });
  assert.throws(() => uringOfThread(), {
    code: 'MR_OUTPUT_MECHANISM',
    message: /IORING_OP_SEND_ZC was refused with EINVAL/,
  });
  fault.restore();
  assert.equal(openFdCount(), before);
});

test('the fd that wakes is made once, or says why not', limits, (t) => {
  t.after(closeThreadRing);
  const ring = uringOfThread();
  const before = openFdCount();
  for (const call of ['eventfdCreate', 'uringSignal'] as const) {
    const fault = failCall({ call, nth: 1, errno: EMFILE });
    assert.equal(ring.wakeFd(), -EMFILE);
    fault.restore();
  }
  assert.equal(openFdCount(), before);
  assert.ok(ring.wakeFd() >= 0);
  assert.equal(ring.wakeFd(), ring.wakeFd());
  assert.equal(openFdCount(), before + 1);
  closeThreadRing();
  assert.equal(openFdCount(), before - 1);
  assert.equal(ring.wakeFd(), -EBADF);
});

test('more notices than the completion ring holds all arrive', limits, (t) => {
  const connections = stuffed(t, 40, 400);
  const ring = uringOfThread();
  const calls = connections.reduce((sum, { ledger }) => sum + ledger.openCount, 0);
  t.diagnostic(`${calls} calls open, ${ring.openCount} notices outstanding`);
  assert.ok(calls > 4096, `${calls}`);
  for (let tries = 0; ring.openCount > 0 && tries < 10_000; tries += 1) {
    for (const { peer } of connections) while (readSome(peer, 65_536).length > 0);
    ring.reap();
  }
  assert.equal(ring.openCount, 0);
  for (const { ledger, sent } of connections) {
    assert.equal(ledger.openCount, 0);
    assert.equal(ledger.safeBytes(sent), sent);
  }
});

test('notices find the ledger of their connection', limits, (t) => {
  const [first, second, third] = stuffed(t, 3, 100_000);
  const ring = uringOfThread();
  assert.ok(first!.ledger.openCount > 0 && second!.ledger.openCount > 0);
  const open = [first!.ledger.openCount, third!.ledger.openCount];
  for (let tries = 0; second!.ledger.openCount > 0 && tries < 100_000; tries += 1) {
    while (readSome(second!.peer, 65_536).length > 0);
    ring.reap();
  }
  assert.equal(second!.ledger.openCount, 0);
  assert.deepEqual([first!.ledger.openCount, third!.ledger.openCount], open);
});

test('the ring of a worker ends with the worker', limits, async () => {
  const before = openFdCount();
  const url = new URL('./uring-ring.js', import.meta.url).href;
  for (let i = 0; i < 3; i += 1) {
    const code = `import(${JSON.stringify(url)}).then((m) => m.uringOfThread())`;
    const worker = new Worker(code, { eval: true });
    const exit = await new Promise((resolve, reject) => {
      worker.once('exit', resolve);
      worker.once('error', reject);
    });
    assert.equal(exit, 0);
  }
  assert.equal(openFdCount(), before);
});
