/**
 * Threads for tests: a test file that starts itself again in a worker, with a job as workerData.
 */
import { Worker } from 'node:worker_threads';

export interface StartedThread {
  readonly worker: Worker;
  /** Resolves when the thread has ended, however; rejects with an error that it did not catch. */
  readonly ended: Promise<void>;
}

/** Starts the file at `url` (import.meta.url of the caller) in a thread of its own. */
export function startThread(url: string, job: object): StartedThread {
  const worker = new Worker(new URL(url), { workerData: job });
  const ended = new Promise<void>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', () => resolve());
  });
  return { worker, ended };
}

/** Another one each run; tests print it. */
export function newSeed(): number {
  return (Math.random() * 2 ** 32) >>> 0;
}
