/**
 * A reader in another network namespace: a process of its own, which reads when it is told to.
 *
 * PROTOCOL    Commands are lines: `listen RECEIVE_BUFFER ADDRESS`, `accept`, `take BYTES`, `close`;
 *             each answer is a u32, little endian, and for `take` as many bytes.
 * The file is both: the script that runs there, and the class that talks to it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  accept4,
  bind,
  checked,
  closeFd,
  EPOLLIN,
  epollAdd,
  epollCreate,
  epollWait,
  listen,
  localPort,
  PEER_BYTES,
  socketCreate,
} from '../../src/toolkit/sys/index.ts';
import { inNamespace } from './namespaces.ts';
import { type BufferBytes, FdReader, type StreamReader, setBuffers } from './output-rig.ts';

const SCRIPT = fileURLToPath(import.meta.url);
const WAIT_MS = 30_000;

export function mappedAddress(text: string): Uint8Array {
  return Uint8Array.from([
    ...new Array<number>(10).fill(0),
    255,
    255,
    ...text.split('.').map(Number),
  ]);
}

/** The process in the other namespace; one connection at a time. */
export class RemoteReader implements StreamReader {
  readonly #child: ChildProcess;
  #received: Buffer = Buffer.alloc(0);
  #wake: (() => void) | null = null;
  #hasEnded = false;

  constructor(namespace: string) {
    this.#child = spawn('ip', inNamespace(namespace, SCRIPT, 'reader'), {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.stdout!.on('data', (piece: Buffer) => {
      this.#received = this.#received.length === 0 ? piece : Buffer.concat([this.#received, piece]);
      this.#wake?.();
    });
    this.#child.once('exit', () => {
      this.#hasEnded = true;
      this.#wake?.();
    });
  }

  /** Returns the port. */
  listen(address: string, receiveBuffer: BufferBytes): Promise<number> {
    return this.#ask(`listen ${receiveBuffer} ${address}`);
  }

  accept(): Promise<number> {
    return this.#ask('accept');
  }

  async take(bytes: number): Promise<Uint8Array> {
    const length = await this.#ask(`take ${bytes}`);
    await this.#until(length);
    const taken = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return taken;
  }

  /** Ends the connection, not the process. */
  close(): void {
    this.#child.stdin!.write('close\n');
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }

  async #ask(command: string): Promise<number> {
    this.#child.stdin!.write(`${command}\n`);
    await this.#until(4);
    const answer = this.#received.readUInt32LE(0);
    this.#received = this.#received.subarray(4);
    return answer;
  }

  async #until(bytes: number): Promise<void> {
    while (this.#received.length < bytes) {
      if (this.#hasEnded) throw new Error('the reader in the other namespace has ended');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** The script: state of the one connection. */
class Reading {
  #listener = -1;
  #stream: FdReader | null = null;

  run(line: string): void {
    const [command, first = '', second = ''] = line.split(' ');
    if (command === 'listen') this.#answer(this.#listen(first, second));
    else if (command === 'accept') this.#answer(this.#accept());
    else if (command === 'take') this.#take(Number(first));
    else this.#close();
  }

  #listen(receiveBuffer: string, address: string): number {
    this.#listener = checked('socket', socketCreate(4));
    const bytes = receiveBuffer === 'auto' ? 'auto' : Number(receiveBuffer);
    setBuffers(this.#listener, { sendBuffer: 'auto', receiveBuffer: bytes });
    checked('bind', bind(this.#listener, 4, mappedAddress(address), 0, 0));
    checked('listen', listen(this.#listener, 1));
    return localPort(this.#listener);
  }

  #accept(): number {
    const epoll = checked('epoll', epollCreate());
    epollAdd(epoll, this.#listener, EPOLLIN, 0);
    epollWait(epoll, new Int32Array(2), 1, WAIT_MS);
    closeFd(epoll);
    this.#stream = new FdReader(
      checked('accept', accept4(this.#listener, new Uint8Array(PEER_BYTES))),
    );
    closeFd(this.#listener);
    return 0;
  }

  #take(bytes: number): void {
    const taken = this.#stream!.takeNow(bytes);
    this.#answer(taken.length);
    process.stdout.write(taken.slice());
  }

  #close(): void {
    this.#stream?.close();
    this.#stream = null;
  }

  #answer(value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    process.stdout.write(bytes);
  }
}

if (process.argv[1] === SCRIPT && process.argv[2] === 'reader') {
  const reading = new Reading();
  createInterface({ input: process.stdin }).on('line', (line) => reading.run(line));
}
