/**
 * Forward chaos: exporters and destinations under load, while destinations die, connections are
 * reset in the midst of records, exporters connect anew and the server is killed, in an order that
 * the seed draws; then every destination is judged.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { Prng } from '../../src/toolkit/base/prng.ts';
import { ForwardRig } from './forward-server-rig.ts';
import type { ForwardTruth, TrueStream } from './forward-truth.ts';
import { sleepMs } from './server-process.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly exporters: number;
  readonly bytesPerSecond: number;
  readonly serverKills: number;
  /** Mean time between two misfortunes of destinations, connections or exporters. */
  readonly everyMs: number;
  readonly resend: 'none' | 'unacked';
}

const MULTICAST = ['copy-1', 'copy-2'];
const REDUNDANCY = ['first', 'second'];
const HASH = ['left', 'right'];
/** One that gets what its filter lets pass: gathered, so that its parcels are broken, too. */
const PICKED = 'picked';
const FILTER = "not subscriber_id ~ '1@'";
const ALL = [...MULTICAST, ...REDUNDANCY, ...HASH, PICKED];
/** A connection's send buffer, and what waits behind it for `none`. */
const UNDER_WAY_BYTES = 4 * 1024 * 1024;

const members = (names: readonly string[]): { destination: string; priority: number }[] =>
  names.map((destination, i) => ({ destination, priority: 100 - i }));

const isPicked = (stream: TrueStream, sequence: number): boolean =>
  !stream.keys[sequence]!.includes('1@');

function countUnpicked({ streams }: ForwardTruth): number {
  let unpicked = 0;
  for (const stream of streams.values()) {
    for (let i = 0; i < stream.keys.length; i++) if (!isPicked(stream, i)) unpicked++;
  }
  return unpicked;
}

/** Runs, settles, judges; what it did is told as diagnostics. */
export async function runChaos(context: TestContext, options: ChaosOptions): Promise<void> {
  const { seed, exporters, bytesPerSecond, resend } = options;
  const rig = await ForwardRig.open(context, {
    seed,
    exporters,
    bytesPerSecond,
    readBytes: 3_000,
    destinations: ALL,
    forward: (to) => ({
      destinations: ALL.map((name) => to(name, { resend, filter: name === PICKED ? FILTER : '' })),
      groups: [
        { name: 'copies', mode: 'multicast', members: members(MULTICAST) },
        {
          name: 'pair',
          mode: 'redundancy',
          members: members(REDUNDANCY),
          switchOverMs: 100,
          switchBackMs: 500,
        },
        {
          name: 'farm',
          mode: 'load-balancing',
          members: members(HASH),
          switchOverMs: 200,
          switchBackMs: 500,
        },
      ],
    }),
  });
  rig.startExporters();
  const counts = await misfortunes(rig, new Prng(seed), options);
  for (const destination of rig.destinations.values()) {
    if (!destination.isUp) destination.start();
  }
  const report = await rig.finish();
  context.diagnostic(`${JSON.stringify(counts)}, ${rig.marks.next - 1} incoming connections`);
  const truth = rig.truth(true);
  assert.ok(truth.records > 0);
  const underWayBytesMax = resend === 'none' ? UNDER_WAY_BYTES : 0;
  const common = { truth, resend, underWayBytesMax };
  for (const name of MULTICAST) rig.judge([name], common, context);
  rig.judge(REDUNDANCY, { ...common, mode: 'redundancy' }, context);
  // Each end of a member's connection may be a change, and each return: on a machine that stands
  // still one that was reset is down for switchOverMs, too. So may a kill of the server.
  const membershipChanges = 2 * (counts.memberBreaks + counts.serverKills * HASH.length);
  rig.judge(HASH, { ...common, mode: 'hash', membershipChanges }, context);
  const picked = rig.judge([PICKED], { ...common, chosen: isPicked }, context);
  assert.ok(picked.received > 0);
  const unpicked = countUnpicked(truth);
  for (const { name, group, received, filtered } of report.channels) {
    assert.equal(received, truth.records, `${name} received what was journaled`);
    if (group !== 'farm') assert.equal(filtered, name === PICKED ? unpicked : 0, name);
  }
}

interface Counts {
  deaths: number;
  resets: number;
  /** Deaths and resets of those that share by hash. */
  memberBreaks: number;
  reconnects: number;
  serverKills: number;
}

async function misfortunes(rig: ForwardRig, prng: Prng, options: ChaosOptions): Promise<Counts> {
  const counts: Counts = {
    deaths: 0,
    resets: 0,
    memberBreaks: 0,
    reconnects: 0,
    serverKills: 0,
  };
  const { seconds, serverKills, everyMs } = options;
  const endMs = Date.now() + seconds * 1000;
  const killEveryMs = (seconds * 1000) / (serverKills + 1);
  let killAtMs = Date.now() + killEveryMs;
  while (Date.now() < endMs) {
    await sleepMs(prng.below(2 * everyMs));
    if (counts.serverKills < serverKills && Date.now() >= killAtMs) {
      await rig.killServer();
      await rig.startServer();
      counts.serverKills++;
      killAtMs += killEveryMs;
      continue;
    }
    const destination = [...rig.destinations.values()][prng.below(rig.destinations.size)]!;
    const dice = prng.below(10);
    const mode = prng.below(2) === 0 ? 'drained' : 'unread';
    const isMember = HASH.includes(destination.name);
    if (!destination.isUp) destination.start();
    else if (dice < 3) {
      destination.kill(mode);
      if (isMember) counts.memberBreaks++;
      counts.deaths++;
    } else if (dice < 8 && destination.openCount > 0) {
      destination.breakOne(prng.below(destination.openCount), mode);
      if (isMember) counts.memberBreaks++;
      counts.resets++;
    } else {
      rig.exporters[prng.below(rig.exporters.length)]!.reconnect();
      counts.reconnects++;
    }
  }
  return counts;
}
