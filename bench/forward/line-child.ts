/**
 * A C peer that lives for a whole bench: it says its port, then answers line by line.
 */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { MillraceError } from '../../src/toolkit/base/errors.ts';
import { buildPeer, startChild } from '../lib/peers.ts';

export class LineChild {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  port = 0;

  private constructor(name: string, child: ChildProcess) {
    this.#name = name;
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    child.stderr!.pipe(process.stderr, { end: false });
  }

  /** Starts it and reads the line that says its port. */
  static async start(
    name: 'sink' | 'pulse' | 'relay',
    parameters: readonly string[] = [],
  ): Promise<LineChild> {
    const child = new LineChild(name, startChild(buildPeer(name), parameters, 'pipe'));
    const { port } = await child.next<{ port: number }>();
    child.port = port;
    return child;
  }

  /** The next line that it prints. Throws when it ends instead. */
  async next<Answer>(): Promise<Answer> {
    const { value, done } = await this.#lines.next();
    if (done !== true) return JSON.parse(value) as Answer;
    throw new MillraceError('MR_INPUT', `the peer ${this.#name} ended before its time`);
  }

  async ask<Answer>(line: string): Promise<Answer> {
    this.#child.stdin!.write(`${line}\n`);
    return await this.next<Answer>();
  }

  stop(): void {
    this.#child.kill('SIGTERM');
  }
}
