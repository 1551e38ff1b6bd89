/**
 * Forwarding: what arrives where nothing breaks, byte for byte.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { chooseSeed, ForwardRig } from './support/forward-server-rig.ts';

const skip = addonSkipReason() ?? false;
/** Of each incoming connection, at least. */
const RECORDS = 1_000;

/** A machine may have been started without it. */
async function hasIpv6(): Promise<boolean> {
  const server = createServer();
  const isListening = new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(0, '::1', () => resolve(true));
  });
  const has = await isListening;
  if (has) server.close();
  return has;
}

/** Incoming connections of which enough has arrived. */
function streamsOf(rig: ForwardRig): number {
  const records = new Map<number, number>();
  for (const { marks } of rig.destination('plain').connections) {
    for (const mark of marks) records.set(mark, (records.get(mark) ?? 0) + 1);
  }
  return [...records.values()].filter((count) => count >= RECORDS).length;
}

test('a destination without a filter gets everything, byte for byte', { skip }, async (context) => {
  const six = (await hasIpv6()) ? '::1' : '127.0.0.1';
  if (six === '127.0.0.1') context.diagnostic('no IPv6 here');
  const rig = await ForwardRig.open(context, {
    seed: chooseSeed(context),
    exporters: 3,
    mix: 'all',
    destinations: ['plain', 'merged', 'talker', 'six'],
    hosts: { six },
    forward: (to) => ({
      destinations: [to('plain'), to('merged', { connections: 'merged' }), to('talker'), to('six')],
    }),
  });
  rig.destination('talker').isTalkingBack = true;
  rig.startExporters();
  await rig.until('each exporter sends', () => streamsOf(rig) === 3);
  for (const exporter of rig.exporters) exporter.reconnect();
  await rig.until('each exporter sends again', () => streamsOf(rig) === 6);
  const report = await rig.finish();
  const truth = rig.truth();
  assert.equal(truth.streams.size, 6, 'each exporter came twice');
  for (const name of ['plain', 'talker', 'six']) {
    const verdict = rig.judge([name], { truth }, context);
    assert.equal(verdict.received, truth.records);
    assert.equal(rig.destination(name).connections.length, 3, 'one for each exporter');
  }
  rig.judge(['merged'], { truth, connections: 'merged' }, context);
  assert.equal(rig.destination('merged').connections.length, 1);
  for (const channel of report.channels) {
    assert.equal(channel.received, truth.records, channel.name);
    assert.equal(channel.delivered, truth.records, channel.name);
    assert.equal(channel.destinations[0]!.sentBytes, rig.destination(channel.name).bytes);
  }
  const { address } = report.channels.find(({ name }) => name === 'six')!.destinations[0]!;
  assert.equal(address, six);
  for (const { peer } of rig.destination('six').connections) {
    assert.ok(peer.startsWith(`${six}:`), peer);
  }
  const talker = report.channels.find(({ name }) => name === 'talker');
  assert.ok(talker!.destinations[0]!.talkedBackBytes > 0, 'what it said is counted');
});
