/**
 * Forward vanish: connections whose peer is gone without a word, in a network namespace of their
 * own: test/forward-vanish.test.ts runs this program by unshare(1).
 *
 * WHY  A peer that loses its power sends neither FIN nor RST. On loopback that is both ends behind
 *      an interface that is taken down: what is sent goes nowhere, and nothing comes back.
 */
import { execFileSync } from 'node:child_process';
import { Prng } from '../../src/toolkit/base/prng.ts';
import { ForwardPeer } from './forward-peer.ts';
import { ConnectionRig, memoryParcel, someRecords } from './forward-rig.ts';

const RECORDS = 20;
const WAIT_MS = 30_000;

/** What became of a connection. */
export interface Vanished {
  readonly state: string;
  readonly reason: string;
  readonly breaks: number;
  /** From a moment before the peer was gone. */
  readonly afterMs: number;
  readonly parcels: number;
  /** When the peer went, after PAUSE_MS in which it read nothing. */
  readonly breaksBefore: number;
}

const CASES = {
  /** Nothing to send. */
  keepAlive: { keepAliveMs: 1_000, userTimeoutMs: 0 },
  idle: { keepAliveMs: 0, userTimeoutMs: 1_000 },
  /** Something on the way. */
  userTimeout: { keepAliveMs: 0, userTimeoutMs: 1_000 },
  sending: { keepAliveMs: 0, userTimeoutMs: 0 },
  /** The same behind a closed window: it reads nothing, for longer than userTimeoutMs. */
  paused: { keepAliveMs: 0, userTimeoutMs: 1_000, sendBufferBytes: 8_192 },
} as const;
export type VanishCase = keyof typeof CASES;
const HAS_PARCEL: readonly string[] = ['userTimeout', 'sending'];
/** Those end; the others are to stand until these have ended. */
const ENDING: readonly VanishCase[] = ['keepAlive', 'userTimeout', 'paused'];
const PAUSE_MS = 3_000;

function link(state: 'up' | 'down'): void {
  execFileSync('ip', ['link', 'set', 'lo', state], { timeout: 10_000 });
}

export function run(): Record<VanishCase, Vanished> {
  link('up');
  const peer = new ForwardPeer();
  const rigs = Object.entries(CASES).map(([name, keys]) => {
    const rig = new ConnectionRig({ port: peer.port, ...keys, reconnectMsMin: 60_000 });
    rig.connection.open();
    rig.until(() => rig.connection.state === 'up');
    return { name: name as VanishCase, rig, afterMs: -1 };
  });
  peer.accept();
  const bytes = someRecords(new Prng(1), 0, RECORDS);
  // All clocks go as the kernel's does.
  const zeroMs = Date.now();
  const turn = (): void => {
    for (const { rig } of rigs) {
      rig.nowMs = Date.now() - zeroMs + 1_000;
      rig.poller.wait(1);
      rig.connection.turn(rig.nowMs);
    }
  };
  const paused = rigs.find(({ name }) => name === 'paused')!.rig;
  while (Date.now() < zeroMs + PAUSE_MS) {
    while (paused.connection.tryAdd(memoryParcel(bytes, RECORDS))) {
      // As many as it takes.
    }
    turn();
  }
  const breaksBefore = rigs.map(({ rig }) => rig.counts.breaks);
  // Before the link is down, not when ip(8) has ended: what is measured is never too short.
  const startMs = Date.now();
  link('down');
  for (const { name, rig } of rigs) {
    if (HAS_PARCEL.includes(name)) rig.connection.tryAdd(memoryParcel(bytes, RECORDS));
  }
  const hasEnded = (name: VanishCase): boolean =>
    rigs.find((one) => one.name === name)!.afterMs >= 0;
  while (!ENDING.every(hasEnded) && Date.now() < startMs + WAIT_MS) {
    turn();
    for (const one of rigs) {
      if (one.afterMs < 0 && one.rig.counts.breaks > 0) one.afterMs = Date.now() - startMs;
    }
  }
  const found = rigs.map(({ name, rig: { connection, counts }, afterMs }, index) => {
    const { state, reason, parcelCount: parcels } = connection;
    const { breaks } = counts;
    const before = breaksBefore[index]!;
    return [name, { state, reason, breaks, afterMs, parcels, breaksBefore: before }] as const;
  });
  for (const { rig } of rigs) rig.close();
  peer.close();
  return Object.fromEntries(found) as Record<VanishCase, Vanished>;
}
