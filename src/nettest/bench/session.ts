/**
 * Session: the processes and places of one bench, and one measurement in them.
 *
 * WHY         Sender and receiver live as long as the session. A path has its own pair: those of
 *             the veth pair run in their namespaces.
 * OWNERSHIP   The folder with the UNIX socket and the file of the pool, the children and the
 *             namespaces are the session's; close() removes all of them.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentProcess, Children } from './agent-process.ts';
import {
  type Listening,
  POOL_BYTES,
  RECEIVE_BYTES,
  type Reply,
  type Target,
  type Transfer,
} from './agent-protocol.ts';
import { Namespaces, VETH_RECEIVER_HOST } from './namespaces.ts';
import type { Path, Pin, Run, YardstickMode } from './plan.ts';

const SENDER_FILE = new URL('./sender-agent.js', import.meta.url);
const RECEIVER_FILE = new URL('./receiver-agent.js', import.meta.url);

/** Defaults of toolkit/output. */
const CORK_BYTES = 256 * 1024;
const SPLICE_PIPE_BYTES = 512 * 1024;
const CHUNK_BYTES = 256 * 1024;

export interface SessionOptions {
  readonly paths: readonly Path[];
  /** The program of the C yardstick, or null. */
  readonly yardstick: string | null;
  readonly seconds: number;
  readonly congestion: string;
  /** CPUs that this process may use. */
  readonly cpus: readonly number[];
}

/** Both sides of one transfer; receiver null: nothing was sent anywhere. */
export interface Sample {
  readonly sender: Transfer;
  readonly receiver: Transfer | null;
}

interface Place {
  readonly sender: AgentProcess;
  readonly receiver: AgentProcess;
  readonly senderPrefix: readonly string[];
  readonly target: Target;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  readonly #file = join(this.#folder, 'pool');
  readonly #children = new Children();
  readonly #places = new Map<Path, Place>();
  #namespaces: Namespaces | null = null;

  private constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** `refused`: paths that this machine does not offer, with the reason. */
  static async open(options: SessionOptions, refused: Map<Path, string>): Promise<Session> {
    const session = new Session(options);
    try {
      writeFileSync(session.#file, Buffer.alloc(POOL_BYTES, 'millrace '));
      for (const path of options.paths) await session.#openPlace(path, refused);
    } catch (error) {
      session.close();
      throw error;
    }
    return session;
  }

  get paths(): readonly Path[] {
    return [...this.#places.keys()];
  }

  close(): void {
    this.#children.close();
    this.#namespaces?.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** One transfer; `notOffered` with the reason where the kernel has no such mechanism. */
  async measure(run: Run, seconds = this.#options.seconds): Promise<Reply<Sample>> {
    const { cell, contestant } = run;
    const place = this.#places.get(cell.path)!;
    const [senderCpu, receiverCpu] = cpusOf(cell.pin, this.#options.cpus);
    if (contestant.name === 'null') {
      const alone = await place.sender.ask<Transfer>(this.#sendCommand(run, seconds, senderCpu));
      return wrap(alone, null);
    }
    const received = place.receiver.ask<Transfer>({
      command: 'receive',
      target: place.target,
      connections: cell.fanOut,
      bufferBytes: RECEIVE_BYTES,
      cpu: receiverCpu,
    });
    const sent =
      contestant.kind === 'agent'
        ? place.sender.ask<Transfer>(this.#sendCommand(run, seconds, senderCpu))
        : this.#runYardstick(run, contestant.mode, seconds, senderCpu);
    // Both are awaited whatever happens: the receiver sees the end of what failed.
    const [sender, receiver] = await Promise.allSettled([sent, received]);
    if (sender.status === 'rejected') throw sender.reason;
    if (receiver.status === 'rejected') throw receiver.reason;
    if (sender.value.state !== 'done') return sender.value;
    if (receiver.value.state !== 'done') return receiver.value;
    return wrap(sender.value, receiver.value.value);
  }

  #sendCommand({ cell, contestant }: Run, seconds: number, cpu: number) {
    if (contestant.kind !== 'agent') throw new Error('an agent sends by its mechanisms');
    return {
      command: 'send',
      target: this.#places.get(cell.path)!.target,
      mechanism: contestant.mechanism,
      messageBytes: cell.messageBytes,
      fanOut: cell.fanOut,
      seconds,
      cpu,
      congestion: this.#options.congestion,
      file: this.#file,
    } as const;
  }

  async #runYardstick(
    { cell }: Run,
    mode: YardstickMode,
    seconds: number,
    cpu: number,
  ): Promise<Reply<Transfer>> {
    const { target, senderPrefix } = this.#places.get(cell.path)!;
    const parameters: (string | number)[] = ['--message', cell.messageBytes];
    parameters.push('--fan-out', cell.fanOut, '--seconds', seconds, '--pool', POOL_BYTES);
    parameters.push('--huge', ...pipeParameters(mode, cell.messageBytes));
    if (mode === 'sendfile') parameters.push('--file', this.#file);
    if (cpu >= 0) parameters.push('--pin', cpu);
    if (target.kind === 'unix') parameters.push('--unix', target.file);
    else parameters.push('--tcp', target.port, '--host', target.host);
    const { congestion, yardstick } = this.#options;
    if (congestion !== '' && target.kind === 'tcp') parameters.push('--congestion', congestion);
    const program = [...senderPrefix, yardstick!, mode, ...parameters.map(String)];
    const { out, complaint } = await this.#children.run(program);
    if (out === '') return { state: 'failed', message: complaint };
    return { state: 'done', value: JSON.parse(out) as Transfer };
  }

  async #openPlace(path: Path, refused: Map<Path, string>): Promise<void> {
    let senderPrefix: readonly string[] = [];
    let receiverPrefix: readonly string[] = [];
    if (path === 'veth') {
      const made = Namespaces.create();
      if (typeof made === 'string') {
        refused.set(path, made);
        return;
      }
      this.#namespaces = made;
      ({ senderPrefix, receiverPrefix } = made);
    }
    const host = path === 'veth' ? VETH_RECEIVER_HOST : '127.0.0.1';
    const asked: Target =
      path === 'unix'
        ? { kind: 'unix', file: join(this.#folder, 'socket') }
        : { kind: 'tcp', host, port: 0 };
    const sender = new AgentProcess(this.#children, SENDER_FILE, senderPrefix);
    const receiver = new AgentProcess(this.#children, RECEIVER_FILE, receiverPrefix);
    const { port } = await receiver.demand<Listening>({ command: 'listen', target: asked });
    const target = asked.kind === 'tcp' ? { ...asked, port } : asked;
    this.#places.set(path, { sender, receiver, senderPrefix, target });
  }
}

/** The pipes, chunks and corks of SpliceWriter and TeeWriter: the same calls, in C. */
function pipeParameters(mode: YardstickMode, messageBytes: number): readonly (string | number)[] {
  const push = Math.max(messageBytes, CORK_BYTES);
  if (mode === 'splice') return ['--pipe', SPLICE_PIPE_BYTES, '--batch', push];
  if (mode === 'tee') return ['--pipe', CHUNK_BYTES, '--batch', CHUNK_BYTES, '--push', push];
  return [];
}

/** CPUs of sender and receiver; -1: any. */
function cpusOf(pin: Pin, cpus: readonly number[]): readonly [number, number] {
  const [first = -1, second = -1] = cpus;
  if (pin === 'none') return [-1, -1];
  return pin === 'one' ? [first, first] : [first, second];
}

function wrap(sender: Reply<Transfer>, receiver: Transfer | null): Reply<Sample> {
  if (sender.state !== 'done') return sender;
  return { state: 'done', value: { sender: sender.value, receiver } };
}
