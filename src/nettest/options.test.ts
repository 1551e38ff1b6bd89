import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkMessageBytes,
  checkXmitOptions,
  parseMechanism,
  parseReclaim,
  type XmitOptions,
} from './options.ts';

const OPTIONS: XmitOptions = {
  target: { kind: 'ip', host: '127.0.0.1', port: 5500 },
  messageBytes: 65_536,
  packets: 10,
  seconds: Number.POSITIVE_INFINITY,
  mechanism: 'auto',
  reclaim: null,
  peerReceives: false,
  fill: null,
  hasCrc: true,
  hasStamps: false,
  connections: 1,
  fanOut: 1,
  poolBytes: 1 << 20,
  isHuge: false,
  pinCpu: null,
  sendBufferBytes: null,
  congestion: null,
};

test('policies by name, with the bytes of a ring', () => {
  assert.deepEqual(parseReclaim('ackedBytes'), { name: 'ackedBytes', ringBytes: null });
  assert.deepEqual(parseReclaim('DOUBLEBUFFER'), { name: 'doubleBuffer', ringBytes: null });
  assert.deepEqual(parseReclaim('doubleBuffer:65536'), { name: 'doubleBuffer', ringBytes: 65_536 });
  for (const text of [
    '',
    'x',
    'ackedBytes:1',
    'doubleBuffer:',
    'doubleBuffer:0',
    'immutable:1:2',
  ]) {
    assert.throws(() => parseReclaim(text), { code: 'MR_USAGE' }, text);
  }
});

test('mechanisms by name', () => {
  assert.equal(parseMechanism('msgzerocopy'), 'msgZerocopy');
  assert.equal(parseMechanism('auto'), 'auto');
  assert.throws(() => parseMechanism('teleport'), { code: 'MR_USAGE' });
});

test('sizes of messages', () => {
  for (const good of [16, 17, 65_536, 1_000_003]) checkMessageBytes(good);
  for (const bad of [0, 1, 15, -1, 2 ** 31]) {
    assert.throws(() => {
      checkMessageBytes(bad);
    }, /-s/);
  }
});

const CONTRADICTIONS: Readonly<Record<string, Partial<XmitOptions>>> = {
  'a message above the pool': { messageBytes: (1 << 20) + 1 },
  'a file that is filled again': { mechanism: 'file', fill: 'always' },
  'a tee that is filled again': { mechanism: 'tee', fill: 'always' },
  'a policy without splice': {
    mechanism: 'copy',
    reclaim: { name: 'ackedBytes', ringBytes: null },
  },
  'splice with notifications': {
    mechanism: 'splice',
    reclaim: { name: 'notification', ringBytes: null },
  },
  'immutable pages that are filled again': {
    mechanism: 'splice',
    reclaim: { name: 'immutable', ringBytes: null },
    fill: 'always',
  },
};

test('what does not contradict itself passes', () => {
  checkXmitOptions(OPTIONS);
});

for (const [what, change] of Object.entries(CONTRADICTIONS)) {
  test(`refused: ${what}`, () => {
    assert.throws(
      () => {
        checkXmitOptions({ ...OPTIONS, ...change });
      },
      (error: unknown) => {
        const { code, remedy } = error as { code: string; remedy: string };
        return code === 'MR_USAGE' && remedy !== '';
      },
    );
  });
}
