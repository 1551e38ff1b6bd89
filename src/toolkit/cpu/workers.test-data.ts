/**
 * Workers for tests: threads that register under a role, and wait until they are ended.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

const DOOR = new URL('./index.js', import.meta.url).href;

/** A worker that registers under its role at once; without a role it does not register. */
export async function startWorker(role: string | null): Promise<Worker> {
  const code = `
    const { parentPort } = require('node:worker_threads');
    import(${JSON.stringify(DOOR)}).then((cpu) => {
      const role = ${JSON.stringify(role)};
      if (role !== null) cpu.registerThread(role);
      parentPort.on('message', (late) => {
        cpu.registerThread(late);
        parentPort.postMessage('registered');
      });
      parentPort.postMessage('ready');
    });`;
  const worker = new Worker(code, { eval: true });
  await once(worker, 'message');
  return worker;
}

/** Lets the worker register now. */
export async function registerLate(worker: Worker, role: string): Promise<void> {
  worker.postMessage(role);
  await once(worker, 'message');
}
