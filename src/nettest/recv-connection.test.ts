import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addonSkipReason,
  bytesUnread,
  checked,
  closeFd,
  send,
  shutdown,
  socketPair,
} from '../toolkit/sys/index.ts';
import { MessageMaker } from './message-maker.ts';
import type { RecvOptions } from './options.ts';
import { RecvConnection } from './recv-connection.ts';

const skip = addonSkipReason();
const OPTIONS: RecvOptions = {
  target: { kind: 'unix', path: '@unused' },
  messageBytes: 1000,
  isPlainRecv: true,
  reader: 'fast',
  hasCrc: true,
  hasStamps: true,
  isKeepGoing: false,
  connections: 1,
  seconds: Number.POSITIVE_INFINITY,
  pinCpu: null,
  receiveBufferBytes: null,
  hasAcks: false,
};

class Rig {
  readonly sender: number;
  readonly connection: RecvConnection;
  readonly bad: string[] = [];
  readonly #message = new Uint8Array(OPTIONS.messageBytes);
  readonly #maker = new MessageMaker(this.#message, { ...OPTIONS, fill: 'always' });
  #sequence = 0;

  constructor(change: Partial<RecvOptions>) {
    const ends = new Int32Array(2);
    checked('socketpair', socketPair(ends));
    this.sender = ends[0]!;
    this.connection = new RecvConnection(ends[1]!, { ...OPTIONS, ...change }, 0);
  }

  /** Sends the next message, with one bit changed at `flipAt`. */
  send(flipAt = -1): void {
    this.#maker.make(0, 0, this.#sequence++, 1);
    if (flipAt >= 0) this.#message[flipAt]! ^= 1;
    assert.equal(send(this.sender, this.#message, 0, 1000), 1000);
  }

  turn(limit = Number.POSITIVE_INFINITY): number {
    return this.connection.turn(limit, (lines) => this.bad.push(...lines));
  }

  close(): void {
    this.connection.close();
    closeFd(this.sender);
  }
}

for (const isPlainRecv of [true, false]) {
  const way = isPlainRecv ? 'recv' : 'splice';

  test(`${way}: a thousand messages, however they are cut by reads`, { skip }, () => {
    const rig = new Rig({ isPlainRecv });
    for (let count = 0; count < 1000; count++) {
      rig.send();
      rig.turn(count % 2 === 0 ? 333 : Number.POSITIVE_INFINITY);
    }
    rig.turn();
    const { messageCount, corruptCount } = rig.connection.checker;
    assert.deepEqual([messageCount, corruptCount, rig.connection.cutBytes], [1000, 0, 0]);
    assert.equal(rig.connection.byteCount, 1_000_000);
    shutdown(rig.sender, 'write');
    rig.turn();
    assert.equal(rig.connection.isDone, true);
    assert.equal(rig.connection.failure, 0);
    rig.close();
  });

  test(`${way}: it stops at the first bad message`, { skip }, () => {
    const rig = new Rig({ isPlainRecv });
    rig.send();
    rig.send(500);
    rig.send();
    rig.turn();
    const { messageCount, corruptCount } = rig.connection.checker;
    assert.deepEqual([messageCount, corruptCount, rig.connection.isDone], [2, 1, true]);
    assert.match(rig.bad[0]!, /^crc error: /);
    rig.close();
  });

  test(`${way}: --keep-going counts on`, { skip }, () => {
    const rig = new Rig({ isPlainRecv, isKeepGoing: true });
    for (const flipAt of [-1, 500, -1, 0, 900, -1]) rig.send(flipAt);
    rig.turn();
    const { messageCount, corruptCount, corruptBy } = rig.connection.checker;
    assert.deepEqual([messageCount, corruptCount], [6, 3]);
    assert.deepEqual(corruptBy, { length: 1, crc: 2, stamp: 0 });
    assert.equal(rig.connection.isDone, false);
    rig.close();
  });
}

test('acknowledgements say what was checked, once a turn', { skip }, () => {
  const rig = new Rig({ hasAcks: true });
  rig.send();
  rig.turn(999);
  assert.equal(bytesUnread(rig.sender), 0);
  rig.turn();
  rig.turn();
  assert.equal(bytesUnread(rig.sender), 8);
  rig.close();
});
