/**
 * The other end of the examples: a listening socket on loopback, and clients in a process of their
 * own, which read with node:net until the server ends the connection and tell what they got.
 */
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import {
  bindTo,
  checked,
  ipSockaddr,
  listen,
  localPort,
  socketCreate,
} from '../src/toolkit/sys/door.ts';

export interface ClientReport {
  readonly bytes: number;
  readonly sha256: string;
}

/** 127.0.0.1, as the 16 bytes that ipSockaddr takes. */
const LOOPBACK = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1]);

/** A non-blocking listening socket on a port that the kernel picks. */
export function listenOnLoopback(): { readonly fd: number; readonly port: number } {
  const fd = checked('socket', socketCreate(4));
  checked('bind', bindTo(fd, ipSockaddr(4, LOOPBACK, 0)!));
  checked('listen', listen(fd, 128));
  return { fd, port: checked('getsockname', localPort(fd)) };
}

/** Starts `count` clients; resolves with what each of them got when all have been served. */
export function startClients(port: number, count: number): Promise<ClientReport[]> {
  const child = fork(fileURLToPath(import.meta.url), [`${port}`, `${count}`]);
  return new Promise((resolve, reject) => {
    child.once('message', (reports) => {
      resolve(reports as ClientReport[]);
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      reject(new Error(`the clients ended with code ${code}`));
    });
  });
}

function readAll(port: number): Promise<ClientReport> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256');
    let bytes = 0;
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (data) => {
      bytes += data.length;
      hash.update(data);
    });
    socket.once('error', reject);
    socket.once('end', () => {
      resolve({ bytes, sha256: hash.digest('hex') });
    });
  });
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const [port, count] = process.argv.slice(2).map(Number) as [number, number];
  const clients = Array.from({ length: count }, () => readAll(port));
  process.send(await Promise.all(clients), () => process.disconnect());
}
