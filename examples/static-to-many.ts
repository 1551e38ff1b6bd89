/**
 * Example: one payload that never changes, to many clients. It is laid into pipes once; every
 * connection gets it by tee(2) and splice(2): references, no copies. Then the same by send(2).
 *
 * node dist/examples/static-to-many.js
 */
import { createHash } from 'node:crypto';
import {
  CopyWriter,
  type OutputWriter,
  payloadSource,
  TeePayload,
  TeeWriter,
} from '../src/toolkit/output/index.ts';
import { PagePool } from '../src/toolkit/pages/index.ts';
import * as sys from '../src/toolkit/sys/door.ts';
import { listenOnLoopback, startClients } from './loopback.ts';

const CLIENTS = 8;
const PAYLOAD_BYTES = 16 * 1024 * 1024;

// An arena starts on an OS page. Nobody acquires this page: its bytes never change again.
const pool = PagePool.create({ pageBytes: PAYLOAD_BYTES, pageCount: 1, prefault: true });
for (let word = 0; word < PAYLOAD_BYTES; word += 4) pool.view.setUint32(word, word * 0x9e37);
const payload = TeePayload.fill(payloadSource(pool.bytes));
const wanted = createHash('sha256').update(pool.bytes).digest('hex');
const listener = listenOnLoopback();

/** Accepts CLIENTS connections, sends the payload to each; returns the bytes that were copied. */
function serve(makeWriter: (fd: number) => OutputWriter): number {
  const epollFd = sys.checked('epoll_create', sys.epollCreate());
  sys.checked('epoll_ctl', sys.epollAdd(epollFd, listener.fd, sys.EPOLLIN, 0));
  const pairs = new Int32Array(2 * 64);
  const peer = new Uint8Array(sys.PEER_BYTES);
  const writers = new Map<number, OutputWriter>();
  let copiedBytes = 0;
  for (let doneCount = 0; doneCount < CLIENTS; ) {
    const ready = sys.checked('epoll_wait', sys.epollWait(epollFd, pairs, 64, -1));
    for (let at = 0; at < ready * 2; at += 2) {
      const writer = writers.get(pairs[at]!);
      if (writer === undefined) {
        const fd = sys.checked('accept4', sys.accept4(listener.fd, peer));
        writers.set(fd, makeWriter(fd));
        sys.checked('epoll_ctl', sys.epollAdd(epollFd, fd, sys.EPOLLOUT, fd));
      } else if (isSent(writer)) {
        copiedBytes += writer.counts.copiedBytes;
        writer.close();
        writers.delete(writer.fd);
        sys.closeFd(writer.fd);
        doneCount++;
      }
    }
  }
  sys.closeFd(epollFd);
  return copiedBytes;
}

/** Offers what is left until the socket is full; true when all of it has left. */
function isSent(writer: OutputWriter): boolean {
  while (writer.counts.acceptedBytes < PAYLOAD_BYTES) {
    const offset = writer.counts.acceptedBytes;
    const accepted = writer.write(payload.source, offset, PAYLOAD_BYTES - offset);
    if (accepted === -sys.EAGAIN) return false;
    sys.checked('write', accepted);
  }
  return sys.checked('flush', writer.flush()) === 0;
}

for (const name of ['tee', 'copy'] as const) {
  const clients = startClients(listener.port, CLIENTS);
  const before = process.cpuUsage();
  const copied = serve((fd) => (name === 'tee' ? new TeeWriter(fd, payload) : new CopyWriter(fd)));
  const sysMs = process.cpuUsage(before).system / 1000;
  const good = (await clients).filter(({ sha256 }) => sha256 === wanted).length;
  console.log(`${name}: ${good} of ${CLIENTS} clients got all of ${PAYLOAD_BYTES} bytes,`);
  console.log(`  ${copied} bytes were copied, ${sysMs.toFixed(0)} ms in the kernel`);
  if (good !== CLIENTS) process.exitCode = 1;
}
payload.close();
sys.closeFd(listener.fd);
