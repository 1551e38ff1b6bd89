/**
 * One connection with a writer and a peer that behaves in its own way; nothing may be left behind.
 */
import assert from 'node:assert/strict';
import { closeThreadDiag, closeThreadRing } from '../../src/toolkit/output/index.ts';
import { closeFd } from '../../src/toolkit/sys/index.ts';
import { type Offer, offersOn, type Where } from './output-offers.ts';
import {
  AUTO_BUFFERS,
  type Buffers,
  connectPath,
  FdReader,
  openFds,
  type Path,
} from './output-rig.ts';
import { type OpenSession, openSession, pause } from './output-session.ts';

export interface PeerRig extends OpenSession {
  readonly offer: Offer;
  readonly writerFd: number;
  readonly reader: FdReader;
  /** Closes the writer, not its socket. */
  closeWriter(): void;
  /** Closes the peer's socket. */
  closeReader(): void;
}

export interface PeerOptions {
  readonly buffers?: Buffers;
  readonly messageBytes?: number;
  readonly bytes?: number;
}

const RIG_BYTES = 1 << 20;
let connections = 1000;

export function offerNamed(where: Where, name: string): Offer {
  const offer = offersOn(where).find((one) => one.name === name);
  assert.ok(offer !== undefined, `${name} is offered on ${where}`);
  return offer;
}

/** Runs one offer against one peer; afterwards no fd is open and no page is away. */
export async function withPeer(
  offer: Offer,
  path: Path,
  options: PeerOptions,
  use: (rig: PeerRig) => Promise<void>,
): Promise<void> {
  const { buffers = AUTO_BUFFERS, messageBytes = 4096, bytes = RIG_BYTES } = options;
  closeThreads();
  const fds = openFds();
  const { writer: writerFd, reader: readerFd } = connectPath(path, buffers);
  const reader = new FdReader(readerFd);
  const shape = { connection: ++connections, messageBytes, start: 0 };
  const opened = openSession(offer, writerFd, reader, { shape, bytes });
  const closeWriter = once(() => opened.open.close());
  const closeReader = once(() => reader.close());
  try {
    await use({ ...opened, offer, writerFd, reader, closeWriter, closeReader });
  } finally {
    opened.session.stop();
    closeWriter();
    closeReader();
    closeFd(writerFd);
    closeThreads();
  }
  assert.equal(openFds(), fds, `${offer.name} on ${path}: an fd is left`);
  if (opened.pool !== null) {
    const { free, pageCount } = opened.pool.stats();
    assert.equal(free, pageCount, `${offer.name} on ${path}: a page is not back`);
  }
}

/** What a thread keeps for its writers. */
export function closeThreads(): void {
  closeThreadRing();
  closeThreadDiag();
}

function once(call: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) call();
    isDone = true;
  };
}

/** Reads until so many bytes of the stream have come, or 5 s are over; tells the policy. */
export async function readUpTo(rig: PeerRig, bytes: number): Promise<void> {
  const endMs = Date.now() + 30_000;
  const { session, open } = rig;
  while (session.findings.bytes < bytes) {
    assert.ok(Date.now() < endMs, `${session.findings.bytes} of ${bytes} bytes have come`);
    if (session.writer.flush() < 0) session.failure ||= -1;
    if ((await session.take(1 << 20)) === 0) await pause(1);
    open.consumed(session.findings.bytes);
  }
}

/** 0 corrupt pages, and some to judge by. */
export function assertClean(rig: PeerRig): void {
  const { corrupt, pieces, words } = rig.session.findings;
  assert.equal(corrupt, 0, `${rig.offer.name}: ${words.join('; ')}`);
  assert.ok(pieces > 0, `${rig.offer.name}: nothing came`);
}
