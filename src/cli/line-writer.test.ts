import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { LineWriter } from './line-writer.ts';
import { tagOfName } from './tag-filter.ts';

/** Keeps what is written; takes a write only when `release` is called, if `isSlow`. */
class Sink extends Writable {
  readonly isTTY: boolean;
  readonly #isSlow: boolean;
  #release: (() => void) | null = null;
  bytes: Buffer = Buffer.alloc(0);

  constructor(isTTY: boolean, isSlow = false) {
    super({ highWaterMark: 1024 });
    this.isTTY = isTTY;
    this.#isSlow = isSlow;
  }

  override _write(piece: Buffer, _: BufferEncoding, done: () => void): void {
    this.bytes = Buffer.concat([this.bytes, piece]);
    if (this.#isSlow) this.#release = done;
    else done();
  }

  release(): void {
    this.#release?.();
  }
}

test('on a terminal control characters are shown, in a file they are kept', async () => {
  const line = 'a\u001b[31mred\u0007 b\tc\u009b';
  for (const [isTerminal, expected] of [
    [true, 'a\\x1b[31mred\\x07 b\\x09c\\x9b\n'],
    [false, `${line}\n`],
  ] as const) {
    const sink = new Sink(isTerminal);
    const writer = new LineWriter(sink);
    writer.add(line);
    await writer.flush();
    assert.equal(sink.bytes.toString(), expected);
  }
});

test('latin1 lines are bytes', async () => {
  const sink = new Sink(false);
  const writer = new LineWriter(sink, 'latin1');
  writer.add('\u00ff\u0000');
  await writer.flush();
  assert.deepEqual(sink.bytes, Buffer.from([0xff, 0, 0x0a]));
});

test('flush is asked for at 64 KiB and waits for a slow reader', async () => {
  const sink = new Sink(false, true);
  const writer = new LineWriter(sink);
  let lines = 0;
  while (!writer.add('x'.repeat(1000))) lines++;
  assert.equal(lines, 65);
  let isDone = false;
  const flushed = writer.flush().then(() => {
    isDone = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isDone, false);
  sink.release();
  await flushed;
  assert.equal(sink.bytes.length, 66 * 1001);
});

test('record types by name, alias of case, hex and decimal', () => {
  assert.equal(tagOfName('TRANSACTION_USAGE_RDR'), 0xf0f0f438);
  assert.equal(tagOfName('Transaction_Usage'), 0xf0f0f438);
  assert.equal(tagOfName('0xF0F0F438'), 0xf0f0f438);
  assert.equal(tagOfName('4042323000'), 0xf0f0f438);
  assert.equal(tagOfName('0xdeadbeef'), 0xdeadbeef);
  assert.throws(() => tagOfName('4294967296'), { code: 'MR_USAGE' });
  assert.throws(() => tagOfName('QUOTA'), { code: 'MR_USAGE', remedy: /quota_breach/ });
});
