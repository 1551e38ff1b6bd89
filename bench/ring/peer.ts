/**
 * The C++ side: bench/peers/ring.cpp as one process that measures on request.
 */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { MillraceError } from '../../src/toolkit/base/errors.ts';
import { buildPeer, startChild } from '../lib/peers.ts';
import type { Section } from './section.ts';

export class RingPeer {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #complaint = '';

  constructor() {
    this.#child = startChild(buildPeer('ring'), [], 'pipe');
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
    this.#child.stderr!.on('data', (chunk: Buffer) => {
      this.#complaint += chunk.toString();
    });
  }

  /** One timed section of a case of ring.cpp; `cpus` names one for each thread. */
  async run(name: string, items: number, cpus: readonly number[], fifo: boolean): Promise<Section> {
    return await this.#ask<Section>(`run ${name} ${items} ${cpus.join(',')} ${fifo ? 1 : 0}`);
  }

  /** SCHED_FIFO for threads of this process, or no more; false: the kernel does not permit it. */
  async setFifo(threadIds: readonly number[], isOn: boolean): Promise<boolean> {
    const request = `fifo ${isOn ? 1 : 0} ${threadIds.join(' ')}`;
    return (await this.#ask<{ readonly ok: boolean }>(request)).ok;
  }

  close(): void {
    this.#child.kill();
  }

  async #ask<Answer>(request: string): Promise<Answer> {
    this.#child.stdin!.write(`${request}\n`);
    const { value, done } = await this.#lines.next();
    if (done !== true) return JSON.parse(value) as Answer;
    throw new MillraceError('MR_INPUT', `bench/peers/ring.cpp ended: ${this.#complaint.trim()}`);
  }
}
