/**
 * Example: a file to every client by sendfile(2), on the plain event loop of Node.js: a helper
 * thread waits for the sockets, so timers and everything else go on.
 *
 * node dist/examples/file-server.js
 */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { FdReadiness, FileWriter, fileSource } from '../src/toolkit/output/index.ts';
import * as sys from '../src/toolkit/sys/door.ts';
import { listenOnLoopback, startClients } from './loopback.ts';

const CLIENTS = 16;
const FILE_BYTES = 16 * 1024 * 1024;
/** A connection gets so much in one turn of the event loop, then others get theirs. */
const TURN_BYTES = 256 * 1024;

const folder = mkdtempSync(join(tmpdir(), 'millrace-file-server-'));
const content = randomBytes(FILE_BYTES);
writeFileSync(join(folder, 'file'), content);
const fileFd = openSync(join(folder, 'file'), 'r');
const source = fileSource(fileFd);
const readiness = new FdReadiness();
const listener = listenOnLoopback();
let callCount = 0;
let fullCount = 0;

/** Sends the file and closes the connection; the event loop is free while the socket is full. */
async function sendFile(fd: number): Promise<void> {
  const writer = new FileWriter(fd);
  try {
    for (let offset = 0; offset < FILE_BYTES; ) {
      const accepted = writer.write(source, offset, Math.min(TURN_BYTES, FILE_BYTES - offset));
      if (accepted === -sys.EAGAIN) await readiness.wait(fd, sys.EPOLLOUT);
      else offset += sys.checked('sendfile', accepted);
      await nextTurn();
    }
    callCount += writer.counts.callCount;
    fullCount += writer.counts.fullCount;
  } finally {
    // Before the fd is closed: its number may be in use again at once.
    readiness.cancel(fd);
    writer.close();
    sys.closeFd(fd);
  }
}

/** Accepts `count` connections; resolves when all of them have been served. */
async function serve(count: number): Promise<void> {
  const peer = new Uint8Array(sys.PEER_BYTES);
  const connections: Promise<void>[] = [];
  while (connections.length < count) {
    const fd = sys.accept4(listener.fd, peer);
    if (fd === -sys.EAGAIN) await readiness.wait(listener.fd, sys.EPOLLIN);
    else connections.push(sendFile(sys.checked('accept4', fd)));
  }
  await Promise.all(connections);
}

const delay = monitorEventLoopDelay({ resolution: 1 });
const clients = startClients(listener.port, CLIENTS);
delay.enable();
await serve(CLIENTS);
delay.disable();
const wanted = createHash('sha256').update(content).digest('hex');
const good = (await clients).filter(({ sha256 }) => sha256 === wanted).length;
console.log(`${good} of ${CLIENTS} clients got all of ${FILE_BYTES} bytes,`);
console.log(`  by ${callCount} calls of sendfile; ${fullCount} times a socket was full;`);
console.log(`  the event loop was late by ${(delay.max / 1e6).toFixed(1)} ms at most`);
if (good !== CLIENTS) process.exitCode = 1;

readiness.cancel(listener.fd);
await readiness.close();
sys.closeFd(listener.fd);
closeSync(fileFd);
rmSync(folder, { recursive: true });
