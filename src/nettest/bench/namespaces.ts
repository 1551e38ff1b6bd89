/**
 * Two network namespaces with a veth pair between them: a path that leaves the sender's stack.
 *
 * WHY         On loopback sender and receiver share one routing table and one qdisc-less device;
 *             containers talk over veth. Both ends are this kernel all the same.
 * OWNERSHIP   Names carry the process id. close() removes both; so does the end of this process;
 *             what a killed bench left behind, the next one removes.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Addresses for benchmarks between networks: RFC 2544. */
export const VETH_SENDER_HOST = '198.18.255.1';
export const VETH_RECEIVER_HOST = '198.18.255.2';
const PREFIX = 'millrace-bench-';

function ip(...parameters: string[]): string | null {
  const { status, stderr, error } = spawnSync('ip', parameters, { encoding: 'utf8' });
  if (error !== undefined) return error.message;
  return status === 0 ? null : `ip ${parameters.join(' ')}: ${stderr.trim()}`;
}

/** Namespaces of processes that are gone. */
function removeLeftovers(): void {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  for (const match of (stdout ?? '').matchAll(/^millrace-bench-(\d+)-[ab]/gm)) {
    if (!existsSync(`/proc/${match[1]}`)) ip('netns', 'del', match[0]);
  }
}

export class Namespaces {
  readonly #sender = `${PREFIX}${process.pid}-a`;
  readonly #receiver = `${PREFIX}${process.pid}-b`;
  readonly #onExit = (): void => this.close();

  private constructor() {
    process.once('exit', this.#onExit);
  }

  /** Makes them; a string says why not (no root, no ip(8), no veth in the kernel). */
  static create(): Namespaces | string {
    if (process.getuid?.() !== 0) return 'namespaces need root';
    removeLeftovers();
    const made = new Namespaces();
    const refusal = made.#setUp();
    if (refusal === null) return made;
    made.close();
    return refusal;
  }

  /** What runs a program as the sender, or as the receiver. */
  get senderPrefix(): readonly string[] {
    return ['ip', 'netns', 'exec', this.#sender];
  }

  get receiverPrefix(): readonly string[] {
    return ['ip', 'netns', 'exec', this.#receiver];
  }

  /** A second call does nothing. */
  close(): void {
    process.off('exit', this.#onExit);
    ip('netns', 'del', this.#sender);
    ip('netns', 'del', this.#receiver);
  }

  #setUp(): string | null {
    const [a, b] = [this.#sender, this.#receiver];
    const steps = [
      ['netns', 'add', a],
      ['netns', 'add', b],
      ['-n', a, 'link', 'add', 'bench0', 'type', 'veth', 'peer', 'name', 'bench0', 'netns', b],
      ['-n', a, 'addr', 'add', `${VETH_SENDER_HOST}/30`, 'dev', 'bench0'],
      ['-n', b, 'addr', 'add', `${VETH_RECEIVER_HOST}/30`, 'dev', 'bench0'],
      // The probe of the output toolkit tries the kernel over loopback.
      ['-n', a, 'link', 'set', 'lo', 'up'],
      ['-n', b, 'link', 'set', 'lo', 'up'],
      ['-n', a, 'link', 'set', 'bench0', 'up'],
      ['-n', b, 'link', 'set', 'bench0', 'up'],
    ];
    for (const step of steps) {
      const refusal = ip(...step);
      if (refusal !== null) return refusal;
    }
    return null;
  }
}
