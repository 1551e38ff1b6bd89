/**
 * Forwarding over connections that break: records stay whole, and a gap or doubles are as chosen.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../src/toolkit/base/prng.ts';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { chooseSeed, ForwardRig } from './support/forward-server-rig.ts';
import { sleepMs } from './support/server-process.ts';

const skip = addonSkipReason() ?? false;
const RESETS = 12;
/** What may be under way with `none`: a send buffer, and what the peer's kernel held. */
const UNDER_WAY_BYTES = 4 * 1024 * 1024;

for (const resend of ['unacked', 'none'] as const) {
  test(`connections that are reset, ${resend}`, { skip }, async (context) => {
    const seed = chooseSeed(context);
    const prng = new Prng(seed);
    const rig = await ForwardRig.open(context, {
      seed,
      bytesPerSecond: 1_000_000,
      readBytes: 3_000,
      destinations: ['reset', 'calm'],
      forward: (to) => ({ destinations: [to('reset', { resend }), to('calm', { resend })] }),
    });
    const destination = rig.destination('reset');
    rig.startExporters();
    for (let i = 0; i < RESETS; i++) {
      const { records } = destination;
      await rig.until('records flow again', () => destination.records > records);
      await rig.until('bytes are under way', () => destination.unreadBytes > prng.below(20_000));
      const mode = prng.below(2) === 0 ? 'drained' : 'unread';
      destination.breakOne(prng.below(destination.openCount), mode);
    }
    const report = await rig.finish();
    const truth = rig.truth();
    const underWayBytesMax = resend === 'none' ? UNDER_WAY_BYTES : 0;
    const verdict = rig.judge(['reset'], { truth, resend, underWayBytesMax }, context);
    const calm = rig.judge(['calm'], { truth, resend }, context);
    assert.equal(calm.received, truth.records);
    const channel = report.channels.find(({ name }) => name === 'reset')!;
    assert.ok(verdict.cut > 0, 'connections ended in the midst of records');
    if (resend === 'none') assert.equal(verdict.doubles, 0);
    else assert.equal(channel.dropped.cut, 0, 'what was cut is sent again');
    const { breaks, reconnects } = channel.destinations[0]!;
    assert.ok(breaks > 0 && reconnects > 0 && reconnects <= breaks, `${reconnects} of ${breaks}`);
  });
}

test('a window that is shut shows that nothing acknowledged is lost', { skip }, async (context) => {
  const rig = await ForwardRig.open(context, {
    seed: chooseSeed(context),
    exporters: 1,
    bytesPerSecond: 2_000_000,
    destinations: ['stuck'],
    forward: (to) => ({ destinations: [to('stuck')] }),
  });
  const destination = rig.destination('stuck');
  rig.startExporters();
  for (let i = 0; i < 4; i++) {
    const { records } = destination;
    await rig.until('records flow', () => destination.records > records);
    destination.isReading = false;
    let before = -1;
    await rig.until('the window is shut', async () => {
      const now = destination.unreadBytes;
      const isShut = now > 32_768 && now === before;
      before = now;
      await sleepMs(100);
      return isShut;
    });
    destination.breakOne(0, 'peeked');
    destination.isReading = true;
  }
  await rig.finish();
  const verdict = rig.judge(['stuck'], { truth: rig.truth() }, context);
  assert.equal(verdict.missing, 0);
});
