/**
 * Peers that do not simply read: they splice onward, peek, end one half, reset, or are gone.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import {
  addonSkipReason,
  bytesUnread,
  checked,
  closeFd,
  ECONNRESET,
  EPIPE,
  pipeCreate,
  read,
  setLinger,
  setPipeCapacity,
  shutdown,
  splice,
} from '../src/toolkit/sys/index.ts';
import { waitReadable } from '../src/toolkit/sys/wait.test-data.ts';
import { type Offer, offersOn } from './support/output-offers.ts';
import type { Path } from './support/output-rig.ts';
import { pause, refillAll, runLaps } from './support/output-session.ts';
import { assertClean, offerNamed, type PeerRig, readUpTo, withPeer } from './support/peer-rig.ts';

const needsAddon = { skip: addonSkipReason() };
const STREAMS = ['tcp4', 'unix'] as const;
const LAPS = { count: 4, everyMs: 12 };

/** Every offer on every stream; which of them, when one fails, is in the message. */
async function everywhere(
  use: (offer: Offer, path: Path) => Promise<void>,
  isMeant: (offer: Offer) => boolean = () => true,
): Promise<number> {
  let count = 0;
  for (const path of STREAMS) {
    for (const offer of offersOn(path).filter(isMeant)) {
      try {
        await use(offer, path);
      } catch (error) {
        throw new Error(`${offer.name} on ${path}`, { cause: error });
      }
      count++;
    }
  }
  return count;
}

/** A peer that moves its bytes from the socket into a pipe, and reads them there later. */
class OnwardPipe {
  readonly #ends = new Int32Array(2);
  readonly #bytes = new Uint8Array(1 << 20);

  constructor() {
    checked('pipe', pipeCreate(this.#ends));
    checked('F_SETPIPE_SZ', setPipeCapacity(this.#ends[1]!, 1 << 20));
  }

  /** Bytes that went on. */
  pull(fd: number): number {
    let total = 0;
    for (let moved = 1; moved > 0; total += Math.max(0, moved)) {
      moved = splice(fd, this.#ends[1]!, 1 << 20);
    }
    return total;
  }

  read(): Uint8Array {
    const length = Math.max(0, read(this.#ends[0]!, this.#bytes, 0, this.#bytes.length));
    return this.#bytes.subarray(0, length);
  }

  close(): void {
    closeFd(this.#ends[0]!);
    closeFd(this.#ends[1]!);
  }
}

/** Splices onward, lets the policy run, then reads the pipe, then the socket. */
async function runOnward(rig: PeerRig): Promise<void> {
  const { session, open, reader } = rig;
  const pipe = new OnwardPipe();
  try {
    session.pump(1 << 20);
    waitReadable(reader.fd);
    assert.ok(pipe.pull(reader.fd) > 0);
    await runLaps(session, LAPS);
    session.stop();
    for (let bytes = pipe.read(); bytes.length > 0; bytes = pipe.read()) {
      session.checker.feed(bytes);
    }
    open.consumed(session.findings.bytes);
    await readUpTo(rig, session.writer.counts.acceptedBytes);
  } finally {
    pipe.close();
  }
}

test('a peer that splices onward: everything but peerQueue stays right', needsAddon, async (t) => {
  const count = await everywhere(
    (offer, path) =>
      withPeer(offer, path, {}, async (rig) => {
        await runOnward(rig);
        assertClean(rig);
      }),
    ({ name }) => !/peerQueue|peerReceives/.test(name),
  );
  t.diagnostic(`${count} runs`);
});

test(
  'a peer that splices onward makes peerQueue wrong: why it is opt-in',
  needsAddon,
  async (t) => {
    for (const path of STREAMS) {
      await withPeer(offerNamed(path, 'splice+peerQueue'), path, {}, async (rig) => {
        await runOnward(rig);
        const { corrupt, pieces, words } = rig.session.findings;
        t.diagnostic(`${path}: ${corrupt} of ${pieces} pages, as ${words[0]}`);
        assert.ok(corrupt > 0, 'it is documented to fail here');
      });
    }
  },
);

test('MSG_PEEK takes nothing: pages stay away until they are received', needsAddon, async () => {
  await everywhere((offer, path) =>
    withPeer(offer, path, {}, async (rig) => {
      rig.session.pump(1 << 20);
      waitReadable(rig.reader.fd);
      for (let lap = 0; lap < 4; lap++) {
        assert.ok(rig.reader.peek(1 << 20).length > 0);
        await runLaps(rig.session, { count: 1, everyMs: 12 });
      }
      rig.session.stop();
      await readUpTo(rig, rig.session.writer.counts.acceptedBytes);
      assertClean(rig);
    }),
  );
});

test('a peer that has ended its half still gets everything', needsAddon, async () => {
  await everywhere((offer, path) =>
    withPeer(offer, path, {}, async (rig) => {
      const { session, reader } = rig;
      reader.halfClose();
      session.pump(1 << 19);
      await runLaps(session, { count: 2, everyMs: 2 });
      session.stop();
      assert.equal(session.failure, 0);
      await readUpTo(rig, session.writer.counts.acceptedBytes);
      assertClean(rig);
    }),
  );
});

test('both halves ended, first the peer’s: what it has not read stays', needsAddon, async () => {
  await everywhere((offer, path) =>
    withPeer(offer, path, {}, async (rig) => {
      const { session, reader, writerFd, pool } = rig;
      reader.halfClose();
      session.pump(1 << 16);
      session.stop();
      for (const end = Date.now() + 30_000; session.writer.flush() > 0 && Date.now() < end; ) {
        await session.take(1 << 14);
      }
      checked('shutdown', shutdown(writerFd, 'write'));
      for (let lap = 0; lap < 4; lap++) {
        await pause(12);
        session.writer.reclaim();
        if (pool !== null) refillAll(pool);
      }
      await readUpTo(rig, session.writer.counts.acceptedBytes);
      assertClean(rig);
    }),
  );
});

test(
  'our own half ended: everything arrives, then the end, and pages land',
  needsAddon,
  async () => {
    await everywhere((offer, path) =>
      withPeer(offer, path, {}, async (rig) => {
        const { session, writerFd } = rig;
        session.pump(1 << 18);
        session.stop();
        for (const end = Date.now() + 30_000; session.writer.flush() > 0 && Date.now() < end; ) {
          await session.take(1 << 20);
        }
        checked('shutdown', shutdown(writerFd, 'write'));
        await readUpTo(rig, session.writer.counts.acceptedBytes);
        assertClean(rig);
        for (const end = Date.now() + 30_000; session.writer.flightCount > 0; await pause(2)) {
          session.writer.reclaim();
          assert.ok(Date.now() < end, `${session.writer.flightCount} flights never land`);
        }
      }),
    );
  },
);

test('a reset in flight: an errno, stale pages, nothing left', needsAddon, async (t) => {
  let stale = 0;
  await everywhere((offer, path) =>
    withPeer(offer, path, {}, async (rig) => {
      const { session, reader, pool } = rig;
      session.pump(1 << 20);
      setLinger(reader.fd, 0);
      rig.closeReader();
      for (let i = 0; i < 50 && session.failure === 0; i++) {
        session.writer.reclaim();
        session.pump(1 << 16);
        await pause(1);
      }
      // A writer whose pool ran dry has not written again: flush() says it, or the next write.
      if (session.failure !== 0) {
        assert.ok([-ECONNRESET, -EPIPE].includes(session.failure), String(session.failure));
      }
      session.stop();
      rig.closeWriter();
      if (pool === null) return;
      stale += pool.stats().stale;
      assert.equal(pool.stats().free, pool.pageCount);
      assert.equal(refillAll(pool), pool.pageCount, 'every page can be filled again');
      assert.equal(pool.stats().stale, 0, 'and is new memory');
    }),
  );
  t.diagnostic(`${stale} pages were stale`);
  assert.ok(stale > 0);
});

test(
  'a writer closed in flight: its pages are filled again, its bytes arrive',
  needsAddon,
  async (t) => {
    let renewed = 0;
    await everywhere((offer, path) =>
      withPeer(offer, path, {}, async (rig) => {
        const { session, reader, pool } = rig;
        session.pump(1 << 20);
        session.stop();
        rig.closeWriter();
        if (pool !== null) {
          assert.equal(refillAll(pool), pool.pageCount);
          renewed += pool.stats().renewedCount;
        }
        // What lay in the pipe is gone with it; what the socket had taken arrives.
        await readUpTo(rig, session.writer.counts.sentBytes);
        assert.ok(bytesUnread(reader.fd) === 0);
        assert.equal(session.findings.bytes, session.writer.counts.sentBytes);
        assertClean(rig);
      }),
    );
    t.diagnostic(`${renewed} pages got new memory`);
    assert.ok(renewed > 0);
  },
);

test('a child process started in flight changes nothing', needsAddon, async () => {
  await everywhere((offer, path) =>
    withPeer(offer, path, { bytes: 1 << 19 }, async (rig) => {
      const { session } = rig;
      session.pump(1 << 19);
      assert.equal(spawnSync('true').status, 0);
      await runLaps(session, { count: 2, everyMs: 2 });
      for (let taken = 0; taken < 65_536; ) {
        const count = await session.take(65_536 - taken);
        if (count === 0) break;
        taken += count;
      }
      rig.open.consumed(session.findings.bytes);
      await runLaps(session, { count: 2, everyMs: 2 });
      session.stop();
      await readUpTo(rig, session.writer.counts.acceptedBytes);
      assertClean(rig);
    }),
  );
});
