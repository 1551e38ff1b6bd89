/**
 * A server in a process of its own, as an operator runs it: started, asked, drained, killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ConfigInput } from '../../src/server/config.ts';
import type { Snapshot } from '../../src/server/snapshot.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const START_MS = 60_000;

export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  port = 0;
  http = '';
  stdout = '';
  stderr = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once('close', (code) => resolve(code)));
    child.stdout!.on('data', (piece: Buffer) => {
      this.stdout += piece.toString();
    });
    child.stderr!.on('data', (piece: Buffer) => {
      this.stderr += piece.toString();
    });
  }

  /** On ports that are free; `config` are keys of the YAML file (JSON is YAML). */
  static async start(dataDir: string, config: ConfigInput = {}): Promise<ServerProcess> {
    const file = ServerProcess.writeConfig(dataDir, config);
    const child = spawn(process.execPath, [MAIN, 'serve', '-c', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const server = new ServerProcess(child);
    await server.#untilStarted();
    return server;
  }

  /** Writes the file that start() reads, for a reload; its path. */
  static writeConfig(dataDir: string, config: ConfigInput): string {
    const file = join(dataDir, '..', `config-${process.pid}.yaml`);
    const keys = { listen: ['127.0.0.1:0'], http: '127.0.0.1:0', data: dataDir, ...config };
    writeFileSync(file, JSON.stringify(keys));
    return file;
  }

  async #untilStarted(): Promise<void> {
    const endMs = Date.now() + START_MS;
    while (Date.now() < endMs && this.#child.exitCode === null) {
      const listen = /listening for exporters on \S+:(\d+)/.exec(this.stdout);
      const page = /page (http:\/\/\S+)\//.exec(this.stdout);
      if (listen !== null && page !== null) {
        this.port = Number(listen[1]);
        this.http = page[1]!;
        return;
      }
      await sleepMs(10);
    }
    const { exitCode } = this.#child;
    this.#child.kill('SIGKILL');
    const state = exitCode === null ? `nothing for ${START_MS} ms` : `exit code ${exitCode}`;
    throw new Error(`the server did not start: ${state} ${this.stdout}${this.stderr}`);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /**
   * Each question has a connection of its own: one that is kept alive is closed by the server after
   * seconds, and a process that stood still for so long would ask on it.
   */
  async status(): Promise<Snapshot> {
    const headers = { connection: 'close' };
    const answer = await fetch(`${this.http}/api/v1/status`, { headers });
    return (await answer.json()) as Snapshot;
  }

  /** Resolves when the snapshot fulfils the condition; throws after `timeoutMs`. */
  async until(condition: (status: Snapshot) => boolean, timeoutMs = 60_000): Promise<Snapshot> {
    const endMs = Date.now() + timeoutMs;
    for (;;) {
      const status = await this.status();
      if (condition(status)) return status;
      if (Date.now() > endMs) throw new Error(`not reached: ${JSON.stringify(status)}`);
      await sleepMs(50);
    }
  }

  /** SIGTERM; the exit code. */
  async drain(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    return this.#ended;
  }

  /** SIGHUP: it reads its file again. */
  reload(): void {
    this.#child.kill('SIGHUP');
  }

  /** SIGKILL, and until the process is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

export function sleepMs(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
