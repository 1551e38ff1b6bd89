/**
 * From which length of a run on sendfile(2) costs less than to copy the run beside others.
 *
 * METHOD   A file in the page cache and the same bytes in memory, as after a filter has read them.
 *          Every second run of one length goes to a sink over loopback: by one sendfile(2) each, or
 *          copied into a buffer of a block's size that goes by one send(2). CPU of this thread,
 *          both ways in turn; a row is the quotient of sendfile and copy.
 * RESULT   GATHER_BELOW_BYTES of src/server/forward/selection.ts is the length from which on
 *          sendfile costs less: the last rows are that of each round, and the constant as it is.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAll } from '../../src/nettest/connect.ts';
import { GATHER_BELOW_BYTES } from '../../src/server/forward/selection.ts';
import {
  checked,
  closeFd,
  EAGAIN,
  EPOLLET,
  EPOLLOUT,
  epollAdd,
  epollCreate,
  epollWait,
  openFile,
  send,
  sendfile,
  setSocketOption,
  threadCpuUs,
} from '../../src/toolkit/sys/index.ts';
import { type BenchRow, makeRow } from '../lib/result.ts';
import { msPerGb } from './flow.ts';
import { LineChild } from './line-child.ts';

const FILE_BYTES = 8 << 20;
const BLOCK_BYTES = 256 << 10;
/** Sent by each way in a round. */
const ROUND_BYTES = 64 << 20;
const RUN_KIB = [0.25, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 128] as const;
const WAIT_MS = 1000;

type Take = (offset: number, length: number) => number;

/** A connected socket, and what waits for room in it. */
class Socket {
  readonly #fd: number;
  readonly #epoll: number;
  readonly #pairs = new Int32Array(2);

  constructor(fd: number) {
    this.#fd = fd;
    this.#epoll = checked('epoll_create', epollCreate());
    checked('setsockopt', setSocketOption(fd, 'noDelay', 1));
    checked('epoll_ctl', epollAdd(this.#epoll, fd, EPOLLOUT | EPOLLET, 0));
  }

  /** Calls `take` until it has taken everything, and waits in between. */
  sendAll(take: Take, offset: number, length: number): void {
    for (let done = 0; done < length; ) {
      const took = take(offset + done, length - done);
      if (took > 0) done += took;
      else if (took === -EAGAIN) epollWait(this.#epoll, this.#pairs, 1, WAIT_MS);
      else throw new Error(`the sink is gone: ${took}`);
    }
  }

  close(): void {
    closeFd(this.#epoll);
    closeFd(this.#fd);
  }
}

export interface CrossoverOptions {
  readonly rounds: number;
  readonly congestion: string;
}

interface Source {
  readonly bytes: Uint8Array;
  readonly file: number;
  readonly block: Uint8Array;
}

/** Every second run by a call of its own. Returns bytes sent. */
function sendRuns(socket: Socket, fd: number, { file }: Source, runBytes: number): number {
  const take: Take = (offset, length) => sendfile(fd, file, offset, length);
  let sent = 0;
  while (sent < ROUND_BYTES) {
    for (let at = 0; at + runBytes <= FILE_BYTES; at += 2 * runBytes) {
      socket.sendAll(take, at, runBytes);
      sent += runBytes;
    }
  }
  return sent;
}

/** Every second run of a block copied beside the others, a block's choice by one call. */
function sendCopies(socket: Socket, fd: number, source: Source, runBytes: number): number {
  const { bytes, block } = source;
  const take: Take = (offset, length) => send(fd, block, offset, length);
  let sent = 0;
  while (sent < ROUND_BYTES) {
    for (let start = 0; start < FILE_BYTES; start += BLOCK_BYTES) {
      let used = 0;
      for (let at = start; at + runBytes <= start + BLOCK_BYTES; at += 2 * runBytes) {
        block.set(bytes.subarray(at, at + runBytes), used);
        used += runBytes;
      }
      socket.sendAll(take, 0, used);
      sent += used;
    }
  }
  return sent;
}

function cpuMsPerGb(work: () => number): number {
  const beforeUs = threadCpuUs();
  const sent = work();
  return msPerGb(threadCpuUs() - beforeUs, sent);
}

/**
 * Length from which on the quotient stays at 1 or below, between two lengths by the logarithms of
 * both; 0 when it does for all, the last one when it does for none. `lengths` ascend.
 */
export function crossoverOf(lengths: readonly number[], quotients: readonly number[]): number {
  const above = quotients.findLastIndex((quotient) => quotient > 1);
  if (above < 0) return 0;
  if (above === lengths.length - 1) return lengths[above]!;
  const [high, low] = [Math.log(quotients[above]!), Math.log(quotients[above + 1]!)];
  const [from, to] = [Math.log(lengths[above]!), Math.log(lengths[above + 1]!)];
  return Math.exp(from + ((to - from) * high) / (high - low));
}

function measure(socket: Socket, fd: number, source: Source, rounds: number): BenchRow[] {
  /** Of each round, in the order of RUN_KIB. */
  const quotients = Array.from({ length: rounds }, () => [] as number[]);
  const rows = RUN_KIB.flatMap((kib, length) => {
    const runBytes = kib * 1024;
    const copies: number[] = [];
    for (let round = -1; round < rounds; round++) {
      const copy = cpuMsPerGb(() => sendCopies(socket, fd, source, runBytes));
      const file = cpuMsPerGb(() => sendRuns(socket, fd, source, runBytes));
      // The first one warms up.
      if (round < 0) continue;
      copies.push(copy);
      quotients[round]!.push(file / copy);
    }
    const ratios = quotients.map((all) => all[length]!);
    return [
      makeRow(`runs of ${kib} KiB: copy and send`, copies, 'ms/GB'),
      makeRow(`runs of ${kib} KiB: sendfile each / copy and send`, ratios, 'x'),
    ];
  });
  const found = quotients.map((all) => crossoverOf(RUN_KIB, all));
  return [
    ...rows,
    makeRow('sendfile costs less from runs of', found, 'KiB'),
    makeRow('GATHER_BELOW_BYTES is', [GATHER_BELOW_BYTES / 1024], 'KiB'),
  ];
}

export async function measureCrossover(options: CrossoverOptions): Promise<BenchRow[]> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const bytes = new Uint8Array(FILE_BYTES).fill(0x61);
  const path = join(folder, 'runs');
  writeFileSync(path, bytes);
  const sink = await LineChild.start('sink');
  const target = { kind: 'ip', host: '127.0.0.1', port: sink.port } as const;
  try {
    const connect = { sendBufferBytes: null, congestion: options.congestion };
    const [fd] = await connectAll(target, 1, connect);
    const file = checked('open', openFile(path, ['read']));
    const socket = new Socket(fd!);
    const source = { bytes, file, block: new Uint8Array(BLOCK_BYTES) };
    const rows = measure(socket, fd!, source, options.rounds);
    socket.close();
    closeFd(file);
    return rows;
  } finally {
    sink.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
