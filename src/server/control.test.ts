import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import type { SpscRingHandle } from '../toolkit/ring/index.ts';
import { COMMAND_DRAIN, Commands, Control } from './control.ts';

interface Job {
  readonly commands: SpscRingHandle;
  /** One int32: 1 = told to drain. */
  readonly told: SharedArrayBuffer;
}

if (!isMainThread && workerData !== null) {
  const { commands, told } = workerData as Job;
  const control = new Control(commands);
  const words = new Int32Array(told);
  while (!control.isDraining) Atomics.wait(words, 0, 0, 1);
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
  // Carries it out for ever.
  for (;;) Atomics.wait(words, 0, 1, 1_000);
} else {
  test('a worker is told once, and stays told', () => {
    const commands = new Commands();
    const control = new Control(commands.handle);
    assert.ok(!control.isDraining);
    commands.send(COMMAND_DRAIN);
    assert.ok(control.isDraining);
    assert.ok(control.isDraining);
    control.close();
    const next = new Control(commands.handle);
    assert.ok(!next.isDraining, 'it was carried out');
  });

  test('a command that comes between two lives of a worker waits for the next', () => {
    const commands = new Commands();
    const dead = new Control(commands.handle);
    assert.ok(!dead.isDraining);
    commands.abandon();
    commands.send(COMMAND_DRAIN);
    assert.ok(new Control(commands.handle).isDraining);
  });

  test('a worker that is ended in the middle of a command leaves it to the next', async () => {
    const commands = new Commands();
    const told = new SharedArrayBuffer(4);
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { commands: commands.handle, told },
    });
    const words = new Int32Array(told);
    commands.send(COMMAND_DRAIN);
    while (Atomics.load(words, 0) === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.throws(() => new Control(commands.handle), { code: 'MR_ASSERT' }, 'one at a time');
    void worker.terminate();
    await once(worker, 'exit');
    commands.abandon();
    const next = new Control(commands.handle);
    assert.ok(next.isDraining);
    next.close();
    assert.ok(!new Control(commands.handle).isDraining);
  });
}
