/** What a reload reopens, and what it does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelOptions } from '../../../test/support/forward-engine.ts';
import { channelChanges } from './channel-changes.ts';
import type { ChannelOptions, DestinationOptions } from './options.ts';

const PAIR = channelOptions('pair', [1, 2], { mode: 'redundancy', group: 'pair' });

function withDestinations(more: Partial<DestinationOptions>): ChannelOptions {
  return { ...PAIR, destinations: PAIR.destinations.map((one) => ({ ...one, ...more })) };
}

test('limits, choice, times and options of sockets change without a new connection', () => {
  const channel: Partial<ChannelOptions>[] = [
    { filter: 'tag = 1' },
    { lagBytesMax: 1 },
    { lagMsMax: 1 },
    { onLag: 'drop-oldest' },
    { switchOverMs: 1 },
    { switchBackMs: 1 },
    { from: 'now' },
  ];
  for (const more of channel) {
    const { keys, mustReopen } = channelChanges(PAIR, { ...PAIR, ...more });
    assert.deepEqual([keys, mustReopen], [Object.keys(more), false]);
  }
  const destination: Partial<DestinationOptions>[] = [
    { mechanism: 'copy' },
    { rateBytesPerSecond: 9 },
    { lingerMs: 9 },
    { connectTimeoutMs: 9 },
    { idleTimeoutMs: 9 },
    { keepAliveMs: 0 },
    { userTimeoutMs: 0 },
    { sendBufferBytes: 65_536 },
    { reconnectMsMin: 9 },
    { reconnectMsMax: 9 },
  ];
  for (const more of destination) {
    const { keys, mustReopen } = channelChanges(PAIR, withDestinations(more));
    assert.deepEqual([keys, mustReopen], [Object.keys(more), false]);
  }
  assert.deepEqual(channelChanges(PAIR, { ...PAIR }), { keys: [], mustReopen: false });
  const turned = { ...PAIR, destinations: PAIR.destinations.toReversed() };
  assert.deepEqual(channelChanges(PAIR, turned), { keys: ['priority'], mustReopen: false });
});

test('another peer, another kind of connection or of promise needs a new one', () => {
  const destination: Partial<DestinationOptions>[] = [
    { host: '127.0.0.2' },
    { port: 9 },
    { connections: 'per-exporter' },
    { localAddressByExporter: { '10.0.0.1': '10.0.0.2' } },
    { resend: 'none' },
  ];
  for (const more of destination) {
    const { keys, mustReopen } = channelChanges(PAIR, withDestinations(more));
    assert.deepEqual([keys, mustReopen], [Object.keys(more), true]);
  }
  const set = withDestinations({ sendBufferBytes: 65_536 });
  assert.deepEqual(channelChanges(set, PAIR), { keys: ['sendBufferBytes'], mustReopen: true });
  const alone = { ...PAIR, destinations: PAIR.destinations.slice(1) };
  assert.ok(channelChanges(PAIR, alone).mustReopen && channelChanges(alone, PAIR).mustReopen);
  const single = { ...PAIR, mode: 'multicast' } as const;
  assert.deepEqual(channelChanges(PAIR, single), { keys: ['mode'], mustReopen: true });
});

test('who else shares does not matter to a member, how they share does', () => {
  const balance = { by: 'hash', field: 'subscriber_id', members: ['a', 'b'], self: 0 } as const;
  const mine = { ...PAIR, balance };
  const others = { ...mine, balance: { ...balance, members: ['c', 'a'], self: 1 } };
  assert.deepEqual(channelChanges(mine, others), { keys: [], mustReopen: false });
  const exporter = { ...mine, balance: { ...balance, field: 'exporter' } };
  assert.deepEqual(channelChanges(mine, exporter), { keys: ['field'], mustReopen: true });
});
