/**
 * Rig for connections of the forwarder: parcels of random records, a clock that the test turns, and
 * the loop that a worker would run.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '../../src/server/forward/connection.ts';
import {
  type ConnectionCounts,
  makeConnectionCounts,
} from '../../src/server/forward/connection-counts.ts';
import type { Resolver } from '../../src/server/forward/dialer.ts';
import { type LoopCheck, makeLoopCheck } from '../../src/server/forward/loop.ts';
import type { DestinationOptions } from '../../src/server/forward/options.ts';
import type { WarmthSource } from '../../src/server/forward/outbox-warmth.ts';
import type { Parcel, Settlement } from '../../src/server/forward/parcel.ts';
import { ParcelSender } from '../../src/server/forward/parcel-sender.ts';
import { Poller } from '../../src/server/forward/poller.ts';
import { TokenBucket } from '../../src/server/forward/token-bucket.ts';
import type { Prng } from '../../src/toolkit/base/prng.ts';
import { record, text } from './records.ts';

export const DESTINATION: DestinationOptions = {
  name: 'mediation',
  host: '127.0.0.1',
  port: 0,
  connections: 'merged',
  localAddressByExporter: {},
  resend: 'unacked',
  mechanism: 'auto',
  rateBytesPerSecond: 0,
  lingerMs: 0,
  connectTimeoutMs: 10_000,
  idleTimeoutMs: 0,
  keepAliveMs: 60_000,
  userTimeoutMs: 30_000,
  sendBufferBytes: 0,
  reconnectMsMin: 200,
  reconnectMsMax: 30_000,
  priority: 100,
};

/** Records whose tag is their number, from `first` on. */
export function someRecords(prng: Prng, first: number, count: number, longest = 400): Buffer {
  const frames = Array.from({ length: count }, (_, i) => {
    const value = Buffer.alloc(prng.below(longest), (first + i) & 0xff);
    return record(first + i, [text(value)]);
  });
  return Buffer.concat(frames);
}

/** A segment file to which parcels are appended. */
export class ParcelFile {
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-forward-'));
  readonly fd = openSync(join(this.#folder, 'segment'), 'w+');
  #end = 0;

  /** A parcel in the file, behind something that is none of its bytes. */
  parcel(bytes: Uint8Array, records: number): Parcel {
    const offset = this.#end + 128;
    writeSync(this.fd, bytes, 0, bytes.length, offset);
    this.#end = offset + bytes.length;
    return {
      ...emptyParcel(bytes, records),
      file: { segment: { fd: this.fd, position: 0 }, offset },
    };
  }

  close(): void {
    closeSync(this.fd);
    rmSync(this.#folder, { recursive: true });
  }
}

function emptyParcel(bytes: Uint8Array, records: number): Parcel {
  return {
    position: 0,
    endPosition: 0,
    records,
    bytes: bytes.length,
    exporter: '',
    file: null,
    memory: null,
    seenMs: 0,
  };
}

/** A parcel in a buffer, somewhere in it. */
export function memoryParcel(bytes: Uint8Array, records: number): Parcel {
  const buffer = new Uint8Array(bytes.length + 7);
  buffer.set(bytes, 3);
  return { ...emptyParcel(bytes, records), memory: { bytes: buffer, offset: 3 } };
}

/** More than a machine under load needs for all of a test. */
const GIVE_UP_MS = 60_000;
/** Before the clock moves the kernel has so much of the jump's time to tell something. */
const SHARE_OF_JUMP = 0.01;
const WAIT_MS_MAX = 100;

export interface Settled {
  readonly parcel: Parcel;
  readonly settlement: Settlement;
}

export interface RigOptions extends Partial<DestinationOptions> {
  readonly localAddress?: string | null;
  readonly resolver?: Resolver;
  readonly isLoop?: LoopCheck;
  readonly random?: () => number;
  readonly warmth?: WarmthSource | null;
  readonly isWatched?: boolean;
}

/** One connection and the loop around it. Its clock stands still unless the test moves it. */
export class ConnectionRig {
  nowMs = 1_000;
  readonly poller: Poller;
  readonly counts: ConnectionCounts = makeConnectionCounts();
  readonly settled: Settled[] = [];
  readonly connection: Connection;

  constructor(options: RigOptions) {
    const { localAddress = null, resolver, isLoop, random, warmth = null, ...more } = options;
    const { isWatched = false, ...rest } = more;
    const destination: DestinationOptions = { ...DESTINATION, ...rest };
    const rate = destination.rateBytesPerSecond;
    this.poller = new Poller({ nowMs: () => this.nowMs });
    this.connection = new Connection({
      destination,
      localAddress,
      poller: this.poller,
      resolver: resolver ?? { resolve: (_, onResolved) => onResolved([], 'no names here') },
      isLoop: isLoop ?? makeLoopCheck([]),
      random: random ?? (() => 0),
      counts: this.counts,
      sender: new ParcelSender(destination.mechanism),
      bucket: rate === 0 ? null : new TokenBucket(rate),
      warmth,
      isWatched,
      onSettled: (parcel, settlement) => this.settled.push({ parcel, settlement }),
    });
  }

  /** One turn of the worker, at the time that stands. Returns bytes sent. */
  turn(): number {
    this.poller.wait(0);
    return this.connection.turn(this.nowMs);
  }

  /**
   * Turns until `isSo`, and moves the clock to the connection's next timer when nothing happens:
   * the clock runs as fast as the machine does, but not while the kernel has something to tell. On
   * a busy machine it tells late, so a jump over seconds (a timeout) waits longer than a small one.
   */
  until(isSo: () => boolean, each: () => void = () => {}): void {
    const endMs = Date.now() + GIVE_UP_MS;
    while (!isSo()) {
      if (Date.now() > endMs) {
        throw new Error(`nothing more happens: ${this.connection.state} ${this.connection.reason}`);
      }
      const events = this.poller.wait(0);
      const sent = this.connection.turn(this.nowMs);
      each();
      if (events > 0 || sent > 0 || isSo()) continue;
      const { nextTimerMs } = this.connection;
      const jumpMs = nextTimerMs === Infinity ? 0 : nextTimerMs - this.nowMs;
      const waitMs = Math.min(WAIT_MS_MAX, Math.max(1, jumpMs * SHARE_OF_JUMP));
      if (this.poller.wait(waitMs) > 0) continue;
      if (nextTimerMs !== Infinity) this.nowMs = Math.max(this.nowMs, nextTimerMs);
    }
  }

  close(): void {
    this.connection.close(this.nowMs);
    this.poller.close();
  }
}
