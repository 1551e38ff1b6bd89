/**
 * A destination that stops reading for the whole run: the others get at least 0.95 of what they get
 * without it, measured in turns, and memory stays flat.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { addonSkipReason } from '../../src/toolkit/sys/index.ts';
import { ForwardRig } from '../support/forward-server-rig.ts';
import { runCli } from '../support/run-cli.ts';

const skip = addonSkipReason() ?? false;
const ROUNDS = 5;
const RECORDS = 400_000;
const RATIO_MIN = 0.95;
const GROWTH_BYTES_MAX = 48 * 1024 * 1024;
const OTHERS = ['one', 'two'];

/** Records a second at the others, and how much the server's memory grew behind the first half. */
async function run(
  context: TestContext,
  names: readonly string[],
  seed: number,
): Promise<{ perSecond: number; growthBytes: number }> {
  const rig = await ForwardRig.open(context, {
    seed,
    exporters: 0,
    destinations: names,
    forward: (to) => ({ destinations: names.map((name) => to(name)) }),
    config: { journal: { segmentBytes: 64 * 1024 * 1024 } },
    receiveBufferBytes: 1024 * 1024,
  });
  try {
    for (const name of names) rig.destination(name).isReading = name !== 'stopped';
    const startMs = performance.now();
    const words = ['--records', String(RECORDS), '--connections', '2', '--mark', '--json'];
    const sending = runCli(['generate', `127.0.0.1:${rig.server.port}`, ...words]);
    const arrived = (): number => Math.min(...OTHERS.map((name) => rig.destination(name).records));
    await rig.until('half of it', () => arrived() >= RECORDS / 2);
    const half = (await rig.server.status()).process.rssBytes;
    await rig.until('all of it', () => arrived() >= RECORDS);
    const seconds = (performance.now() - startMs) / 1000;
    const end = (await rig.server.status()).process.rssBytes;
    assert.equal((await sending).code, 0);
    return { perSecond: RECORDS / seconds, growthBytes: end - half };
  } finally {
    await rig.close();
  }
}

test('one that never reads costs the others nothing', { skip }, async (context) => {
  const without: number[] = [];
  const beside: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    without.push((await run(context, OTHERS, round)).perSecond);
    const { perSecond, growthBytes } = await run(context, [...OTHERS, 'stopped'], round);
    beside.push(perSecond);
    assert.ok(growthBytes < GROWTH_BYTES_MAX, `memory grew by ${growthBytes} bytes`);
  }
  const median = (values: number[]): number => values.sort((a, b) => a - b)[ROUNDS >> 1]!;
  const ratio = median(beside) / median(without);
  context.diagnostic(
    `${Math.round(median(without))}/s without, ${Math.round(median(beside))}/s beside: ` +
      ratio.toFixed(3),
  );
  assert.ok(ratio >= RATIO_MIN, `${ratio} of what they get without it`);
});
