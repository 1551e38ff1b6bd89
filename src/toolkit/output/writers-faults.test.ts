import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { PagePool } from '../pages/index.ts';
import { EAGAIN, ECONNRESET, EFAULT, EMFILE, ENFILE, ENOMEM, EPERM, EPIPE } from '../sys/errno.ts';
import { failCall, type SetFault } from '../sys/faults.ts';
import { addonSkipReason } from '../sys/load.ts';
import type { NativeFunctions } from '../sys/native-functions.ts';
import {
  type Connection,
  connected,
  fillPattern,
  openFdCount,
  readSome,
  waitEither,
} from './connections.test-data.ts';
import { CopyWriter } from './copy-writer.ts';
import { FileWriter } from './file-writer.ts';
import { ImmutableReclaim } from './immutable-reclaim.ts';
import { fileSource, type OutputSource, pageSources, payloadSource } from './output-source.ts';
import type { OutputWriter } from './output-writer.ts';
import { PeerQueueReclaim } from './peer-queue-reclaim.ts';
import { SpliceWriter } from './splice-writer.ts';
import { TeePayload } from './tee-payload.ts';
import { TeeWriter } from './tee-writer.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 60_000 };
const BYTES = 300_000;

type Call = keyof NativeFunctions;

/** Everything that a mechanism asks the kernel, and how it may be refused. */
interface Plan {
  readonly mechanism: string;
  readonly faults: Readonly<Partial<Record<Call, readonly number[]>>>;
  /** What is sent, and its writer, made while the fault is set. */
  prepare(t: TestContext): Scene;
}

interface Scene {
  readonly source: OutputSource;
  readonly expected: Uint8Array;
  readonly make: (fd: number) => { writer: OutputWriter; close: () => void };
  /** After everything is closed. */
  readonly check: () => void;
}

const nothing = (): void => {};

const PLANS: readonly Plan[] = [
  {
    mechanism: 'copy',
    faults: { send: [EAGAIN, EPIPE, ECONNRESET, ENOMEM] },
    prepare: () => payloadScene((fd) => new CopyWriter(fd)),
  },
  {
    mechanism: 'splice of a payload',
    faults: {
      getsockopt: [ENOMEM],
      pipeCreate: [EMFILE, ENFILE],
      pipeCapacity: [EPERM],
      setPipeCapacity: [EPERM],
      vmsplice: [EAGAIN, EFAULT, ENOMEM],
      splice: [EAGAIN, EPIPE, ECONNRESET, ENOMEM],
    },
    prepare: () => payloadScene((fd) => new SpliceWriter(fd, new ImmutableReclaim())),
  },
  {
    mechanism: 'splice of a page',
    faults: {
      pipeCreate: [EMFILE],
      setPipeCapacity: [EPERM],
      vmsplice: [EAGAIN, ENOMEM],
      splice: [EAGAIN, EPIPE, ENOMEM],
      socketQueue: [ENOMEM],
    },
    prepare: pageScene,
  },
  {
    mechanism: 'tee',
    faults: {
      getsockopt: [ENOMEM],
      pipeCreate: [EMFILE, ENFILE],
      pipeCapacity: [EPERM],
      setPipeCapacity: [EPERM],
      vmsplice: [EAGAIN, ENOMEM],
      tee: [EAGAIN, ENOMEM],
      splice: [EAGAIN, EPIPE, ECONNRESET],
    },
    prepare: teeScene,
  },
  {
    mechanism: 'file',
    faults: { getsockopt: [ENOMEM], sendfile: [EAGAIN, EPIPE, ECONNRESET, ENOMEM] },
    prepare: fileScene,
  },
];

function payloadScene(makeWriter: (fd: number) => OutputWriter): Scene {
  const expected = fillPattern(new Uint8Array(BYTES));
  const make = (fd: number): ReturnType<Scene['make']> => {
    const writer = makeWriter(fd);
    return { writer, close: () => writer.close() };
  };
  return { source: payloadSource(expected), expected, make, check: nothing };
}

function pageScene(): Scene {
  const pool = PagePool.create({ pageBytes: 75 * 4096, pageCount: 1 });
  const page = pool.acquire(1);
  pool.retain(page);
  pool.stopFilling(page);
  const expected = Uint8Array.from(fillPattern(pool.bytes).subarray(0, BYTES));
  const source = pageSources(pool)[page]!;
  const make = (fd: number): ReturnType<Scene['make']> => {
    const writer = new SpliceWriter(fd, new PeerQueueReclaim(fd, { reader: 'recv' }));
    return { writer, close: () => writer.close() };
  };
  const check = (): void => {
    assert.equal(pool.stats().shared, 1);
    pool.release(page);
    assert.equal(pool.freeCount(), 1, 'nothing is in flight any more');
  };
  return { source, expected, make, check };
}

function teeScene(): Scene {
  const expected = fillPattern(new Uint8Array(BYTES));
  const source = payloadSource(expected);
  const make = (fd: number): ReturnType<Scene['make']> => {
    const payload = TeePayload.fill(source, { chunkBytes: 131_072 });
    try {
      const writer = new TeeWriter(fd, payload);
      const close = (): void => {
        writer.close();
        payload.close();
      };
      return { writer, close };
    } catch (error) {
      payload.close();
      throw error;
    }
  };
  return { source, expected, make, check: nothing };
}

function fileScene(t: TestContext): Scene {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-output-'));
  const expected = fillPattern(new Uint8Array(BYTES));
  writeFileSync(join(folder, 'payload'), expected);
  const fileFd = openSync(join(folder, 'payload'), 'r');
  t.after(() => {
    closeSync(fileFd);
    rmSync(folder, { recursive: true });
  });
  return {
    source: fileSource(fileFd),
    expected,
    make: (fd) => ({ writer: new FileWriter(fd), close: nothing }),
    check: nothing,
  };
}

interface Outcome {
  /** 0: everything was accepted. */
  readonly failed: number;
  readonly arrived: Uint8Array;
}

/** Sends in pieces, reading as it goes; stops at the first errno, which must stay. */
function transfer(writer: OutputWriter, { fd, peer }: Connection, scene: Scene): Outcome {
  const parts: Uint8Array[] = [];
  let failed = 0;
  for (let offset = 0; offset < BYTES && failed === 0; ) {
    const accepted = writer.write(scene.source, offset, Math.min(50_000, BYTES - offset));
    if (accepted === -EAGAIN) waitEither(fd, peer);
    else if (accepted > 0) offset += accepted;
    else failed = accepted;
    writer.reclaim();
    parts.push(readSome(peer));
  }
  while (failed === 0) {
    const pending = writer.flush();
    if (pending < 0) failed = pending;
    if (pending <= 0) break;
    waitEither(fd, peer);
    parts.push(readSome(peer));
  }
  let arrivedBytes = parts.reduce((sum, part) => sum + part.length, 0);
  while (arrivedBytes < writer.counts.sentBytes) {
    parts.push(readSome(peer));
    arrivedBytes += parts.at(-1)!.length;
  }
  return { failed, arrived: Buffer.concat(parts) };
}

/** One run with one fault; whether the fault was reached. */
function runWithFault(t: TestContext, plan: Plan, call: Call, errno: number, nth: number): boolean {
  const scene = plan.prepare(t);
  const connection = connected(t, 'unix');
  const fdCount = openFdCount();
  const fault: SetFault = failCall({ call, nth, errno });
  let outcome: Outcome | null = null;
  try {
    const { writer, close } = scene.make(connection.fd);
    outcome = transfer(writer, connection, scene);
    const { failed } = outcome;
    if (failed !== 0) {
      assert.equal(failed, -errno);
      assert.equal(writer.pendingBytes, 0);
      if (plan.mechanism.startsWith('splice') || plan.mechanism === 'tee') {
        assert.equal(writer.write(scene.source, 0, 1), failed, 'the errno stays');
        assert.equal(writer.flush(), failed);
      }
    }
    close();
    close();
    assert.equal(writer.flightCount, 0);
  } catch (error) {
    const { code } = error as { code?: string };
    assert.ok(code === 'MR_SYSCALL' || code === 'MR_OUTPUT_MECHANISM', String(error));
  } finally {
    fault.restore();
  }
  assert.equal(openFdCount(), fdCount, 'no fd is left open');
  connection.close();
  scene.check();
  if (outcome !== null) {
    const { failed, arrived } = outcome;
    assert.ok(Buffer.compare(arrived, scene.expected.subarray(0, arrived.length)) === 0);
    if (failed === 0) assert.equal(arrived.length, BYTES);
    if (errno === EAGAIN) assert.equal(failed, 0, 'EAGAIN is an answer');
  }
  return fault.calls >= nth;
}

for (const plan of PLANS) {
  for (const [call, errnos] of Object.entries(plan.faults)) {
    test(`${plan.mechanism}: ${call} fails`, needsAddon, (t) => {
      let reached = 0;
      for (const errno of errnos) {
        for (let nth = 1; nth <= 4; nth++) {
          if (runWithFault(t, plan, call as Call, errno, nth)) reached++;
        }
      }
      assert.ok(reached >= errnos.length, 'the call is made at all');
    });
  }
}
