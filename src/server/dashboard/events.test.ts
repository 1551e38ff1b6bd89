import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { FakeSource } from '../../../test/support/fake-source.ts';
import type { Snapshot } from '../snapshot.ts';
import { EVENT_HUB_DEFAULTS, EventHub, type EventTarget } from './events.ts';

/** A response whose reader can be stopped. */
class FakeTarget extends EventEmitter {
  text = '';
  writableLength = 0;
  isReading = true;
  isEnded = false;
  isDestroyed = false;

  write(chunk: string): boolean {
    if (this.isReading) this.text += chunk;
    else this.writableLength += chunk.length;
    return this.isReading;
  }

  end(chunk: string): this {
    this.write(chunk);
    this.isEnded = true;
    return this;
  }

  destroy(): this {
    this.isDestroyed = true;
    this.emit('close');
    return this;
  }

  /** The events so far, parsed by the rules of the HTML standard. */
  events(): { event: string; id: string; data: Record<string, unknown> }[] {
    return this.text
      .split('\n\n')
      .filter((block) => block.startsWith('event: '))
      .map((block) => {
        const lines = new Map(
          block.split('\n').map((line) => line.split(/: (.*)/s, 2) as [string, string]),
        );
        return {
          event: lines.get('event')!,
          id: lines.get('id')!,
          data: JSON.parse(lines.get('data')!),
        };
      });
  }

  /** What a page that applies every event would show. */
  shown(): Record<string, unknown> {
    let shown: Record<string, unknown> = {};
    for (const { event, data } of this.events()) {
      if (event === 'snapshot') shown = data;
      if (event === 'delta') shown = { ...shown, ...data };
    }
    return shown;
  }
}

function asTarget(fake: FakeTarget): EventTarget {
  return fake as unknown as EventTarget;
}

function plain(snapshot: Snapshot): unknown {
  return JSON.parse(JSON.stringify(snapshot));
}

test('a client gets the whole snapshot, then only what changed', () => {
  const source = new FakeSource();
  const hub = new EventHub(EVENT_HUB_DEFAULTS);
  const target = new FakeTarget();
  hub.add(asTarget(target), source.snapshot());
  assert.match(target.text, /^retry: 1000\n\n/);
  assert.deepEqual(target.shown(), plain(source.snapshot()));
  source.set({ timeMs: 5, recordsPerSecond: 7 });
  hub.publish(source.snapshot());
  const [, delta] = target.events();
  assert.deepEqual(delta, { event: 'delta', id: '1', data: { timeMs: 5, recordsPerSecond: 7 } });
});

test('events applied in order are the snapshot, whenever the client came', () => {
  const source = new FakeSource();
  const hub = new EventHub(EVENT_HUB_DEFAULTS);
  const early = new FakeTarget();
  hub.add(asTarget(early), source.snapshot());
  for (let i = 0; i < 5; i += 1) {
    source.advance();
    hub.publish(source.snapshot());
  }
  const late = new FakeTarget();
  source.advance();
  // Newer than what was published last: the next delta must still bring the client up to date.
  hub.add(asTarget(late), source.snapshot());
  source.set({ recordsPerSecond: 123 });
  hub.publish(source.snapshot());
  assert.deepEqual(late.shown(), plain(source.snapshot()));
  assert.deepEqual(early.shown(), plain(source.snapshot()));
});

test('text from the network cannot break out of an event', () => {
  const source = new FakeSource();
  const hub = new EventHub(EVENT_HUB_DEFAULTS);
  const target = new FakeTarget();
  source.set({ version: 'x\n\nevent: bye\ndata: {}\r\n\u2028' });
  hub.add(asTarget(target), source.snapshot());
  assert.equal(target.events().length, 1);
  assert.equal(target.shown().version, source.snapshot().version);
});

test('a client that does not read is passed over, then closed, and others are not', () => {
  const source = new FakeSource();
  const hub = new EventHub({ ...EVENT_HUB_DEFAULTS, backlogBytesMax: 4_000, missedMax: 3 });
  const slow = new FakeTarget();
  const quick = new FakeTarget();
  hub.add(asTarget(slow), source.snapshot());
  hub.add(asTarget(quick), source.snapshot());
  slow.isReading = false;
  let published = 0;
  while (!slow.isDestroyed && published < 100) {
    source.advance();
    hub.publish(source.snapshot());
    published += 1;
  }
  assert.equal(slow.isDestroyed, true);
  assert.ok(slow.writableLength < 4_000 + 10_000, 'what waits for a slow client is bounded');
  assert.equal(hub.droppedEvents, 4);
  assert.equal(hub.closedSlow, 1);
  assert.equal(hub.clients, 1);
  assert.equal(quick.events().length, published + 1);
});

test('a client that missed an event gets the whole snapshot next', () => {
  const source = new FakeSource();
  const hub = new EventHub({ ...EVENT_HUB_DEFAULTS, backlogBytesMax: 100 });
  const target = new FakeTarget();
  hub.add(asTarget(target), source.snapshot());
  target.writableLength = 101;
  source.advance();
  hub.publish(source.snapshot());
  target.writableLength = 0;
  source.set({ recordsPerSecond: 5 });
  hub.publish(source.snapshot());
  assert.deepEqual(
    target.events().map(({ event }) => event),
    ['snapshot', 'snapshot'],
  );
  assert.deepEqual(target.shown(), plain(source.snapshot()));
});

test('the number of clients is bounded, and one that leaves makes room', () => {
  const source = new FakeSource();
  const hub = new EventHub({ ...EVENT_HUB_DEFAULTS, clientsMax: 2 });
  const targets = [new FakeTarget(), new FakeTarget()];
  for (const target of targets) hub.add(asTarget(target), source.snapshot());
  assert.equal(hub.isFull, true);
  targets[0]!.emit('close');
  assert.equal(hub.isFull, false);
});

test('a quiet connection gets a heartbeat, a busy one does not', () => {
  const source = new FakeSource();
  for (const [heartbeatMs, wanted] of [
    [0, true],
    [60_000, false],
  ] as const) {
    const hub = new EventHub({ ...EVENT_HUB_DEFAULTS, heartbeatMs });
    const target = new FakeTarget();
    hub.add(asTarget(target), source.snapshot());
    hub.heartbeat();
    assert.equal(target.text.endsWith(': heartbeat\n\n'), wanted);
  }
});

test('closing says good-bye and ends every stream', () => {
  const source = new FakeSource();
  const hub = new EventHub(EVENT_HUB_DEFAULTS);
  const target = new FakeTarget();
  hub.add(asTarget(target), source.snapshot());
  hub.close();
  assert.equal(target.isEnded, true);
  assert.equal(target.events().at(-1)!.event, 'bye');
  assert.equal(hub.clients, 0);
});
