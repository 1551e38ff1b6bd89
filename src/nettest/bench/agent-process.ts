/**
 * A child process of the bench: an agent that answers commands, or a program that is run.
 *
 * INVARIANTS  Every child ends with this process at the latest, and with Children.close(). What a
 *             child says on stderr is part of the error when it fails.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { MillraceError } from '../../toolkit/base/errors.ts';
import type { Command, Reply } from './agent-protocol.ts';

/** A command that has no answer for so long has failed. */
const ANSWER_MS = 60_000;

/** Starts programs, and ends them all. */
export class Children {
  readonly #children = new Set<ChildProcess>();
  readonly #onExit = (): void => this.#kill();

  constructor() {
    process.once('exit', this.#onExit);
  }

  start(program: readonly string[]): ChildProcess {
    const child = spawn(program[0]!, program.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    // A child that has ended: its close is the news, not that its stdin is gone.
    child.stdin.on('error', () => {});
    return child;
  }

  /** Runs a program to its end: what it printed (nothing: it failed), and its complaint. */
  async run(program: readonly string[]): Promise<{ out: string; complaint: string }> {
    const child = this.start(program);
    let out = '';
    let complaint = '';
    child.stdout!.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr!.on('data', (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), ANSWER_MS);
    child.once('error', (error) => {
      complaint += error.message;
    });
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    clearTimeout(timer);
    return { out: code === 0 ? out.trim() : '', complaint: complaint.trim() };
  }

  close(): void {
    process.off('exit', this.#onExit);
    this.#kill();
  }

  #kill(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }
}

export class AgentProcess {
  readonly #child: ChildProcess;
  #waiting: { resolve: (line: string) => void; reject: (error: Error) => void } | null = null;
  #complaint = '';

  /** `before`: a program that runs it, as `ip netns exec NAME`. */
  constructor(children: Children, file: URL, before: readonly string[] = []) {
    this.#child = children.start([...before, process.execPath, file.pathname]);
    this.#child.stderr!.on('data', (chunk: Buffer) => {
      this.#complaint += chunk.toString();
    });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.#waiting?.resolve(line);
      this.#waiting = null;
    });
    this.#child.once('error', (error) => this.#fail(error));
    this.#child.once('close', (code) => {
      const text = `a process of the bench ended with ${code}: ${this.#complaint.trim()}`;
      this.#fail(new MillraceError('MR_WORKER_DIED', text));
    });
  }

  /** One command, one answer, which may be a refusal or a failure. Throws MR_WORKER_DIED. */
  async ask<Value>(command: Command): Promise<Reply<Value>> {
    if (this.#child.exitCode !== null) {
      throw new MillraceError('MR_WORKER_DIED', 'a process of the bench has ended');
    }
    const answered = new Promise<string>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), ANSWER_MS);
    this.#child.stdin!.write(`${JSON.stringify(command)}\n`);
    try {
      return JSON.parse(await answered) as Reply<Value>;
    } finally {
      clearTimeout(timer);
    }
  }

  /** As ask, for commands that every agent can do. */
  async demand<Value>(command: Command): Promise<Value> {
    const reply = await this.ask<Value>(command);
    if (reply.state === 'done') return reply.value;
    throw new MillraceError('MR_CONNECT', reply.message);
  }

  #fail(error: Error): void {
    this.#waiting?.reject(error);
    this.#waiting = null;
  }
}
