import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutputSource } from '../toolkit/output/output-source.ts';
import { makeCounts, type OutputWriter } from '../toolkit/output/output-writer.ts';
import { EAGAIN, EPIPE } from '../toolkit/sys/errno.ts';
import type { MessageCursor } from './message-feed.ts';
import { SendGroup, WAITS_NOTHING, WAITS_PAGE, WAITS_SOCKET } from './send-group.ts';

const BYTES = 100;

/** Accepts what it is allowed to, remembers every range. */
class FakeWriter implements OutputWriter {
  readonly mechanism = 'null';
  readonly fd = -1;
  readonly counts = makeCounts();
  readonly ranges: [number, number][] = [];
  room = 0;
  pendingBytes = 0;
  flightCount = 0;
  failure = 0;
  flushCount = 0;

  write(_source: OutputSource, offset: number, length: number): number {
    if (this.failure < 0) return this.failure;
    const taken = Math.min(this.room, length);
    if (taken === 0) return -EAGAIN;
    this.room -= taken;
    this.ranges.push([offset, taken]);
    return taken;
  }

  flush(): number {
    this.flushCount++;
    return this.failure < 0 ? this.failure : this.pendingBytes;
  }

  reclaim(): number {
    const given = this.flightCount;
    this.flightCount = 0;
    return given;
  }

  close(): void {}
}

class FakeCursor implements MessageCursor {
  readonly source: OutputSource = {
    kind: 'payload',
    bytes: new Uint8Array(0),
    start: 0,
    length: 0,
  };
  readonly offset = 0;
  readonly made: number[] = [];
  doneCount = 0;
  free = Number.POSITIVE_INFINITY;

  next(sequence: number): boolean {
    if (this.free === 0) return false;
    this.free--;
    this.made.push(sequence);
    return true;
  }

  done(): void {
    this.doneCount++;
  }
}

function group(writerCount: number, packets: number): [SendGroup, FakeWriter[], FakeCursor] {
  const writers = Array.from({ length: writerCount }, () => new FakeWriter());
  const cursor = new FakeCursor();
  return [new SendGroup(writers, cursor, BYTES, packets), writers, cursor];
}

test('every message goes whole to every connection before the next is made', () => {
  const [sender, [fast, slow], cursor] = group(2, 3);
  fast!.room = 1000;
  slow!.room = 30;
  assert.equal(sender.pump(), 130);
  assert.equal(sender.waitsFor, WAITS_SOCKET);
  assert.deepEqual(cursor.made, [0]);
  assert.equal(sender.isInsideMessage, true);
  slow!.room = 1000;
  sender.pump();
  assert.deepEqual(cursor.made, [0, 1, 2]);
  assert.deepEqual(slow!.ranges.slice(0, 2), [
    [0, 30],
    [30, 70],
  ]);
  assert.equal(cursor.doneCount, 3);
  assert.equal(sender.messageCount, 3);
  assert.equal(sender.isDone, true);
});

test('it is not done while a pipe holds bytes', () => {
  const [sender, [writer]] = group(1, 1);
  writer!.room = BYTES;
  writer!.pendingBytes = 40;
  sender.pump();
  assert.equal(sender.isDone, false);
  assert.equal(sender.waitsFor, WAITS_SOCKET);
  writer!.pendingBytes = 0;
  assert.equal(sender.isDone, true);
});

test('stop ends behind the message that is under way', () => {
  const [sender, [writer], cursor] = group(1, Number.POSITIVE_INFINITY);
  writer!.room = 50;
  sender.pump();
  sender.stop();
  assert.equal(sender.isDone, false);
  writer!.room = 1000;
  sender.pump();
  assert.equal(sender.isDone, true);
  assert.deepEqual(cursor.made, [0]);
  assert.equal(sender.isInsideMessage, false);
});

test('without a free page it reclaims, and waits when that brings none', () => {
  const [sender, [writer], cursor] = group(1, 5);
  writer!.room = 1000;
  cursor.free = 0;
  assert.equal(sender.pump(), 0);
  assert.equal(sender.waitsFor, WAITS_PAGE);
  assert.equal(sender.pageWaitCount, 1);
  cursor.free = 5;
  sender.pump();
  assert.equal(sender.waitsFor, WAITS_NOTHING);
  assert.equal(sender.messageCount, 5);
});

test('every turn ends with a flush, also with nothing pending', () => {
  const [sender, [writer]] = group(1, 3);
  writer!.room = 1000;
  sender.pump();
  assert.equal(writer!.flushCount, 1);
});

test('a turn ends although there is more to send', () => {
  const [sender, [writer]] = group(1, Number.POSITIVE_INFINITY);
  writer!.room = Number.POSITIVE_INFINITY;
  const moved = sender.pump();
  assert.ok(moved >= 1024 * 1024 && moved < 1024 * 1024 + BYTES, `${moved}`);
});

test('a lost connection ends the group', () => {
  const [sender, [good, bad]] = group(2, 5);
  good!.room = 1000;
  bad!.failure = -EPIPE;
  sender.pump();
  assert.equal(sender.failure, -EPIPE);
  assert.equal(sender.isDone, true);
  assert.equal(sender.pump(), 0);
});

test('a connection that is lost while its pipe is emptied ends the group', () => {
  const [sender, [writer]] = group(1, 5);
  writer!.room = 120;
  writer!.pendingBytes = 20;
  sender.pump();
  writer!.failure = -EPIPE;
  sender.pump();
  assert.equal(sender.failure, -EPIPE);
});
