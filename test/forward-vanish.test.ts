/**
 * Forwarding to a peer that vanishes without FIN or RST: keep-alive ends a connection that is
 * silent, userTimeoutMs one that waits for an acknowledgement, and neither one the other's. A peer
 * that is there and reads nothing is not gone, however long; but when it vanishes meanwhile it is.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { addonSkipReason } from '../src/toolkit/sys/load.ts';
import type { VanishCase, Vanished } from './support/forward-vanish.ts';

const PROBE_MS = 1_000;
/** The kernel's timers tick, and a loaded machine is late: late is right, early is not. */
const EARLY_MS = 100;

function namespaceSkipReason(): string | false {
  const probe = spawnSync('unshare', ['-n', 'ip', 'link', 'show', 'lo'], { timeout: 10_000 });
  return probe.status === 0 ? false : 'needs root, unshare(1) and ip(8) for a network namespace';
}

const skip = addonSkipReason() || namespaceSkipReason();

test('a peer that vanishes is noticed, idle or not', { skip, timeout: 90_000 }, () => {
  const module = new URL('./support/forward-vanish.js', import.meta.url).href;
  const script = `import(${JSON.stringify(module)})
    .then(({ run }) => console.log(JSON.stringify(run())));`;
  const child = spawnSync('unshare', ['-n', process.execPath, '-e', script], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(child.status, 0, child.stderr);
  const found = JSON.parse(child.stdout) as Record<VanishCase, Vanished>;
  const text = JSON.stringify(found);
  // Three probes, a second apart, behind a second of silence.
  assert.equal(found.keepAlive.breaks, 1, text);
  assert.match(found.keepAlive.reason, /ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/);
  assert.ok(found.keepAlive.afterMs >= 3 * PROBE_MS - EARLY_MS, text);
  assert.equal(found.userTimeout.breaks, 1, text);
  assert.match(found.userTimeout.reason, /ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/);
  assert.ok(found.userTimeout.afterMs >= PROBE_MS - EARLY_MS, text);
  assert.equal(found.keepAlive.state, 'idle', 'nothing to send: nothing is tried');
  assert.equal(found.userTimeout.state, 'waiting');
  assert.equal(found.userTimeout.parcels, 1, 'what was not acknowledged is sent again');
  assert.equal(found.paused.breaksBefore, 0, 'it was there, and read nothing');
  assert.equal(found.paused.breaks, 1, text);
  assert.match(found.paused.reason, /ETIMEDOUT/);
  for (const { state, breaks } of [found.idle, found.sending]) {
    assert.deepEqual([state, breaks], ['up', 0], text);
  }
});
