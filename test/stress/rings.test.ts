/**
 * The tests of rings between threads, again and again for minutes: with new seeds, more threads
 * than CPUs, and all of their threads stopped at any moment.
 *
 * A run is a process of its own, so that threads which end badly take nothing along. Burners keep
 * the CPUs busy: a thread that has taken a slot then loses its CPU in the middle of a step, which
 * is the worst moment that there is. SIGSTOP holds the whole process where it stands.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isMainThread, Worker } from 'node:worker_threads';
import { Prng } from '../../src/toolkit/base/prng.ts';

const STRESS_MS = Number(process.env.MILLRACE_STRESS_MS ?? 240_000);
/** A run takes seconds; one that hangs is a finding. */
const RUN_MS_MAX = 170_000;
const STOP_MS_MAX = 30;
const TOOLKIT = join(import.meta.dirname, '../../src/toolkit');

const FILES = ['ring', 'counters'].flatMap((folder) =>
  readdirSync(join(TOOLKIT, folder))
    .filter((name) => name.endsWith('-threads.test.js'))
    .map((name) => join(folder, name)),
);

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Stops all threads of the process now and then, for some milliseconds, while it lives. */
async function disturb(child: ChildProcess, prng: Prng): Promise<number> {
  let stops = 0;
  while (child.exitCode === null && child.signalCode === null) {
    await sleep(prng.below(200));
    if (!child.kill('SIGSTOP')) break;
    await sleep(prng.below(STOP_MS_MAX));
    child.kill('SIGCONT');
    stops++;
  }
  return stops;
}

async function runOnce(file: string, prng: Prng): Promise<number> {
  const child = spawn(process.execPath, [join(TOOLKIT, file)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_MS_MAX,
    killSignal: 'SIGKILL',
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
  }
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(`${code ?? signal}`));
  });
  const stops = disturb(child, prng);
  assert.equal(await ended, '0', `${file}:\n${text}`);
  return await stops;
}

function startBurners(): Worker[] {
  const source = 'for (;;) Math.sqrt(Math.random());';
  return Array.from({ length: availableParallelism() }, () => new Worker(source, { eval: true }));
}

if (isMainThread) {
  test('there is something to run', () => {
    assert.ok(FILES.length >= 4, FILES.join(' '));
  });

  for (const file of FILES) {
    test(`${file}, for minutes`, async (t) => {
      const burners = startBurners();
      const endMs = performance.now() + STRESS_MS / FILES.length;
      let runs = 0;
      let stops = 0;
      try {
        do {
          stops += await runOnce(file, new Prng(Math.random() * 2 ** 32));
          runs++;
        } while (performance.now() < endMs);
      } finally {
        await Promise.all(burners.map(async (burner) => await burner.terminate()));
      }
      t.diagnostic(`${runs} runs, stopped ${stops} times`);
    });
  }
}
