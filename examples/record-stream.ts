/**
 * Example: a stream of records from pages that are filled again and again, by reference. openOutput
 * picks `splice` with the proof that holds for the peer: acknowledged bytes where it is on another
 * machine; its own receive queue on this one, because we state that our clients read by recv.
 *
 * node dist/examples/record-stream.js
 */
import { createHash } from 'node:crypto';
import { openOutput, pageSources } from '../src/toolkit/output/index.ts';
import { NO_PAGE, PagePool } from '../src/toolkit/pages/index.ts';
import * as sys from '../src/toolkit/sys/door.ts';
import { listenOnLoopback, startClients } from './loopback.ts';

const CLIENTS = 4;
const PAGES_EACH = 512;
const RECORD_BYTES = 4096;

const holders = { filling: CLIENTS, inFlight: CLIENTS * 32 };
const pool = PagePool.create({ pageBytes: 65_536, holders, prefault: true });
const sources = pageSources(pool);

/** A connection: turn() sends until the socket is full or no page is free; true when all is out. */
function makeConnection(fd: number, number: number) {
  const writer = openOutput(fd, { peerReceives: true });
  const hash = createHash('sha256');
  let [page, offset, sequence] = [NO_PAGE, 0, 0];

  function fillPage(): boolean {
    if (sequence < PAGES_EACH) page = pool.acquire(1);
    if (page === NO_PAGE) return false;
    const bytes = pool.bytes.subarray(page * pool.pageBytes, (page + 1) * pool.pageBytes);
    const generation = pool.generation(page);
    sources[page]!.generation = generation; // an earlier life of the page is never sent
    const stamp = `connection ${number}, page ${sequence++}, generation ${generation}`;
    for (let at = 0; at < bytes.length; at += RECORD_BYTES) bytes.set(Buffer.from(stamp), at);
    hash.update(bytes);
    pool.retain(page); // held by us until all of it was accepted
    pool.stopFilling(page);
    offset = 0;
    return true;
  }

  function turn(): boolean {
    writer.reclaim();
    while (page !== NO_PAGE || fillPage()) {
      const accepted = writer.write(sources[page]!, offset, pool.pageBytes - offset);
      if (accepted === -sys.EAGAIN) break;
      offset += sys.checked('write', accepted);
      if (offset < pool.pageBytes) continue;
      pool.release(page); // in flight now: the writer gives it back
      page = NO_PAGE;
    }
    return sys.checked('flush', writer.flush()) === 0 && page === NO_PAGE && sequence >= PAGES_EACH;
  }
  return { writer, hash, turn };
}

const listener = listenOnLoopback();
const clients = startClients(listener.port, CLIENTS);
const connections: ReturnType<typeof makeConnection>[] = [];
const epollFd = sys.checked('epoll_create', sys.epollCreate());
sys.checked('epoll_ctl', sys.epollAdd(epollFd, listener.fd, sys.EPOLLIN, 0));
for (let done = 0; done < CLIENTS; done = connections.filter(({ turn }) => turn()).length) {
  // Nothing tells when a page comes back: look every millisecond.
  sys.checked('epoll_wait', sys.epollWait(epollFd, new Int32Array(2), 1, 1));
  const fd = sys.accept4(listener.fd, new Uint8Array(sys.PEER_BYTES));
  if (fd < 0) continue;
  connections.push(makeConnection(fd, connections.length));
  sys.checked('epoll_ctl', sys.epollAdd(epollFd, fd, sys.EPOLLOUT | sys.EPOLLET, 0));
}
const { choice, counts } = connections[0]!.writer;
for (const { writer } of connections) {
  writer.close(); // what is still in flight becomes stale
  sys.closeFd(writer.fd);
}
const wanted = connections.map(({ hash }) => hash.digest('hex'));
const good = (await clients).filter(({ sha256 }) => wanted.includes(sha256)).length;
console.log(`${choice.mechanism}, ${choice.reclaim}: ${choice.reason}`);
console.log(`${good} of ${CLIENTS} clients got what was stamped`);
console.log('one writer:', counts, 'pool:', pool.stats());
if (good !== CLIENTS) process.exitCode = 1;
