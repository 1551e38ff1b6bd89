import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { monotonicMs } from '../base/clock.ts';
import { addonSkipReason, failCall, type NativeAddon, native } from '../sys/index.ts';
import { replaceNative } from '../sys/load.ts';
import { PROBE_NAMES, probeKernel, probeKernelAnew } from './probe.ts';
import { PROBE_BYTES } from './probe-attempt.ts';
import { memlockLimit } from './probe-limits.ts';

const needsAddon = { skip: addonSkipReason() };

/** Of what the probe sends, and how long nothing follows. */
const FIRST_BYTES = 1448;
const EARLY_MS = 20;
const EIO = 5;
const EPERM = 1;

function fdCount(): number {
  return readdirSync('/proc/self/fd').length;
}

test('the probe answers everything, once per process, and leaves no fd', needsAddon, () => {
  const probe = probeKernel();
  const before = fdCount();
  const again = probeKernelAnew();
  assert.equal(fdCount(), before);
  for (const name of PROBE_NAMES) {
    assert.equal(typeof probe[name].available, 'boolean');
    assert.notEqual(probe[name].detail, '', name);
    assert.equal(again[name].available, probe[name].available, name);
  }
  assert.equal(probeKernel(), probe);
  assert.ok(probe.pipes.defaultBytes >= 4096);
  assert.ok(probe.pipes.grantedBytes >= probe.pipes.defaultBytes);
});

test('what a Linux kernel has always had is found', needsAddon, () => {
  const probe = probeKernel();
  assert.ok(probe.sendfile.available, probe.sendfile.detail);
  assert.ok(probe.unacked.available, probe.unacked.detail);
  assert.ok(probe.pipes.available, probe.pipes.detail);
});

test('any call that fails is a refusal: no exception, no fd left, no other answer changed', {
  ...needsAddon,
}, () => {
  const calls: readonly (keyof NativeAddon)[] = [
    'socketCreate',
    'socketPair',
    'bind',
    'listen',
    'connect',
    'accept4',
    'pipeCreate',
    'pipeCapacity',
    'setPipeCapacity',
    'epollCreate',
    'epollControl',
    'epollWait',
    'vmsplice',
    'splice',
    'tee',
    'sendfile',
    'openFile',
    'pread',
    'read',
    'recv',
    'send',
    'setsockopt',
    'getsockopt',
    'receiveNotifications',
    'socketQueue',
    'uringSetup',
    'uringPrepareSend',
    'socketName',
    'mapFile',
  ];
  const usual = probeKernel();
  const before = fdCount();
  for (const call of calls) {
    const fault = failCall({ call: call as 'send', nth: 1, errno: EIO });
    const probe = probeKernelAnew();
    fault.restore();
    assert.ok(fault.calls > 0, `the probe calls ${call}`);
    assert.equal(fdCount(), before, call);
    const changed = PROBE_NAMES.filter((name) => probe[name].available !== usual[name].available);
    assert.ok(changed.length <= 1, `${call} changed ${changed.join(', ')}`);
    for (const name of changed) assert.match(probe[name].detail, /EIO|mmap of the rings/);
  }
});

test('a kernel without any of it is probed in bounded time', needsAddon, () => {
  const genuine = native();
  const faults = (
    ['vmsplice', 'splice', 'tee', 'sendfile', 'uringSetup', 'setPipeCapacity', 'connect'] as const
  ).map((call) => failCall({ call, nth: 1, errno: EPERM, count: 1000 }));
  const startMs = monotonicMs();
  const probe = probeKernelAnew();
  for (const fault of faults.reverse()) fault.restore();
  assert.equal(native(), genuine);
  assert.ok(monotonicMs() - startMs < 5_000);
  for (const name of ['vmsplice', 'spliceTcp', 'spliceUnix', 'tee', 'sendfile'] as const) {
    assert.equal(probe[name].available, false);
    assert.match(probe[name].detail, /EPERM/);
  }
  assert.equal(probe.msgZerocopy.available, false, 'no connection, no answer');
  assert.equal(probe.uringZerocopy.available, false);
  assert.equal(probe.pipes.available, false);
  assert.equal(probe.pipes.grantedBytes, probe.pipes.defaultBytes);
});

test('what comes in pieces is waited for', needsAddon, () => {
  const genuine = native();
  const rests: (() => void)[] = [];
  replaceNative({
    ...genuine,
    send: (fd, bytes, offset, length, flags) => {
      const isData = length === PROBE_BYTES && flags === 0;
      if (!isData) return genuine.send(fd, bytes, offset, length, flags);
      const first = genuine.send(fd, bytes, offset, FIRST_BYTES, flags);
      rests.push(() => genuine.send(fd, bytes, offset + first, length - first, flags));
      return length;
    },
    epollWait: (epollFd, pairs, pairCount, timeoutMs) => {
      const early = genuine.epollWait(epollFd, pairs, pairCount, EARLY_MS);
      if (early !== 0) return early;
      for (const rest of rests.splice(0)) rest();
      return genuine.epollWait(epollFd, pairs, pairCount, timeoutMs);
    },
  });
  try {
    const { sockDiag } = probeKernelAnew();
    assert.equal(sockDiag.available, probeKernel().sockDiag.available, sockDiag.detail);
  } finally {
    replaceNative(genuine);
  }
});

test('a vmsplice that copies is seen as one', needsAddon, () => {
  const genuine = native();
  const copies: unknown[] = [];
  replaceNative({
    ...genuine,
    vmsplice: (pipeFd, bytes, offset, length) => {
      const copy = bytes.slice(offset, offset + length);
      copies.push(copy);
      return genuine.vmsplice(pipeFd, copy, 0, length);
    },
  });
  try {
    const probe = probeKernelAnew();
    for (const name of ['vmsplice', 'spliceTcp', 'spliceUnix', 'tee'] as const) {
      assert.equal(probe[name].available, false);
      assert.match(probe[name].detail, /copy/);
    }
    assert.ok(copies.length >= 4);
  } finally {
    replaceNative(genuine);
  }
});

test('the limit of locked memory is read as /proc writes it', () => {
  assert.equal(memlockLimit('Max locked memory         8388608   8388608   bytes'), 8_388_608);
  assert.equal(memlockLimit('Max locked memory         unlimited unlimited bytes'), Infinity);
  assert.equal(memlockLimit('Max open files 1 2 files'), 0);
});
