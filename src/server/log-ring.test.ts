import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { Counters } from '../toolkit/counters/index.ts';
import { SpscByteRing } from '../toolkit/ring/index.ts';
import {
  createLogRing,
  LOG_COUNTERS,
  LOG_LEVELS,
  type LogCounter,
  type LogHandle,
  type LogLine,
  LogReader,
  LogWriter,
} from './log-ring.ts';

function makeHandle(ringBytes?: number): { handle: LogHandle; counters: Counters<LogCounter> } {
  const counters = Counters.create<LogCounter>(LOG_COUNTERS, { writerCount: 2 });
  const handle = { ring: createLogRing(ringBytes), counters: counters.handle, writer: 1 };
  return { handle, counters };
}

function readAll(reader: LogReader): LogLine[] {
  const lines: LogLine[] = [];
  while (reader.read(7, (line) => lines.push(line)) > 0);
  return lines;
}

/** Writes numbered lines until it is ended. */
function writeForEver(handle: LogHandle): void {
  const writer = new LogWriter(handle);
  const nap = new Int32Array(new SharedArrayBuffer(4));
  for (let n = 0; ; n++) {
    while (!writer.write('info', 'a line', { n })) Atomics.wait(nap, 0, 0, 1);
    if (n % 50 === 0) Atomics.wait(nap, 0, 0, 1);
  }
}

if (!isMainThread && workerData !== null) {
  writeForEver(workerData as LogHandle);
} else {
  test('lines come out with level, text and fields, in their order', () => {
    const { handle, counters } = makeHandle();
    const writer = new LogWriter(handle);
    const reader = new LogReader(handle.ring);
    const written = LOG_LEVELS.map((level, n) => {
      const fields = { n, text: 'Übermäßig — 日本語', nested: { list: [1, 2] } };
      assert.ok(writer.write(level, `line ${n}`, fields));
      return { level, text: `line ${n}`, fields, dropped: 0 };
    });
    assert.deepEqual(readAll(reader), written);
    assert.deepEqual(readAll(reader), []);
    assert.equal(counters.snapshot().lines, LOG_LEVELS.length);
  });

  test('a full ring drops lines, counts them, and the next one that fits says so', () => {
    const { handle, counters } = makeHandle(1024);
    const writer = new LogWriter(handle);
    const reader = new LogReader(handle.ring);
    let fitted = 0;
    while (writer.write('warn', 'a line', { fitted })) fitted++;
    for (let i = 0; i < 4; i++) assert.ok(!writer.write('warn', 'no room', {}));
    assert.ok(fitted > 5);
    assert.equal(counters.snapshot().droppedRingFull, 5);
    const before = readAll(reader);
    assert.deepEqual(
      before.map(({ fields }) => fields.fitted),
      Array.from({ length: fitted }, (_, n) => n),
      'what was there is not overwritten',
    );
    assert.ok(writer.write('info', 'room again'));
    assert.ok(writer.write('info', 'and again'));
    const after = readAll(reader).map(({ text, dropped }) => [text, dropped]);
    assert.deepEqual(after, [
      ['room again', 5],
      ['and again', 0],
    ]);
    assert.deepEqual(counters.snapshot(), {
      lines: fitted + 2,
      droppedRingFull: 5,
      droppedTooLong: 0,
      told: 5,
    });
  });

  test('a line that never fits is dropped by another reason, and one without JSON is named', () => {
    const { handle, counters } = makeHandle(1024);
    const writer = new LogWriter(handle);
    const reader = new LogReader(handle.ring);
    assert.ok(!writer.write('error', 'x'.repeat(600)));
    assert.equal(counters.snapshot().droppedTooLong, 1);
    assert.ok(writer.write('error', 'odd', { big: 1n }));
    const [line] = readAll(reader);
    assert.equal(line!.text, 'odd');
    assert.match(String(line!.fields.unprintable), /BigInt/);
    assert.equal(line!.dropped, 1);
  });

  test('a successor says what its predecessor had dropped', () => {
    const { handle, counters } = makeHandle(256);
    const dead = new LogWriter(handle);
    const reader = new LogReader(handle.ring);
    while (dead.write('info', 'a line'));
    assert.ok(counters.abandonWriter(1));
    assert.ok(new SpscByteRing(handle.ring).abandonProducer());
    const successor = new LogWriter(handle);
    assert.ok(readAll(reader).length > 0);
    assert.ok(successor.write('info', 'here again'));
    assert.deepEqual(
      readAll(reader).map(({ text, dropped }) => [text, dropped]),
      [['here again', 1]],
    );
    successor.close();
  });

  test('what a worker logged before it was ended is read, to the last line', async () => {
    const { handle, counters } = makeHandle(4096);
    const reader = new LogReader(handle.ring);
    const lines: LogLine[] = [];
    const worker = new Worker(new URL(import.meta.url), { workerData: handle });
    while (lines.length < 500) {
      reader.read(100, (line) => lines.push(line));
      await sleep(1);
    }
    void worker.terminate();
    await once(worker, 'exit');
    assert.ok(counters.abandonWriter(1));
    assert.ok(new SpscByteRing(handle.ring).abandonProducer());
    lines.push(...readAll(reader));
    lines.forEach(({ fields }, n) => {
      assert.equal(fields.n, n);
    });
    const counted = counters.snapshot().lines;
    assert.ok(lines.length - counted <= 1 && counted <= lines.length, `${counted} counted`);
    const successor = new LogWriter(handle);
    assert.ok(successor.write('info', 'a second life'));
    assert.equal(readAll(reader)[0]!.text, 'a second life');
  });
}
