/**
 * Makes the collect stage of a worker from its setup.
 */
import { type CounterHandle, Counters } from '../../toolkit/counters/index.ts';
import { IdleStrategy, SpscRing } from '../../toolkit/ring/index.ts';
import { parseCidr } from '../address.ts';
import { Control, type Tell } from '../control.ts';
import { openPool } from '../open-pool.ts';
import type { WorkerSetup } from '../setup.ts';
import type { Stage } from '../stage.ts';
import { CollectStage } from './collect-stage.ts';
import type { CollectCounter } from './counters.ts';
import { Receiver } from './receiver.ts';

export async function makeStage(setup: WorkerSetup, tell: Tell): Promise<Stage> {
  const { config, shared, index } = setup;
  const owner = index + 1;
  const pool = await openPool(shared);
  const ring = SpscRing.producer(shared.rings[index]!);
  const counters = Counters.writer(setup.counters as CounterHandle<CollectCounter>, index);
  const journal = IdleStrategy.waker(shared.journalIdle);
  const receiver = new Receiver(pool, ring, journal, counters, owner, config.stages === 'latency');
  const { workers, connectionCountMax } = config.collect;
  return new CollectStage(
    {
      owner,
      listeners: setup.listeners,
      wakeFd: setup.wakeFd,
      fds: new Int32Array(setup.fds),
      connectionIds: new Int32Array(shared.connectionIds),
      connectionIdBase: setup.connectionIdBase,
      connectionCountMax: Math.ceil(connectionCountMax / workers),
      lingerMs: config.collect.lingerMs,
      readBytes: config.collect.readBytes,
      inFlightBlockCountMax: config.collect.inFlightBlockCountMax,
      idleTimeoutMs: config.collect.idleTimeoutMs,
      keepAliveMs: config.collect.keepAliveMs,
      receiveBufferBytes: config.collect.receiveBufferBytes,
      receiveLowWaterBytes: config.collect.receiveLowWaterBytes,
      allow: config.collect.allow.map((text) => parseCidr(text)!),
      discard: config.stages === 'frame',
    },
    {
      pool,
      receiver,
      counters,
      control: new Control(setup.commands),
      report: (rows) => tell({ kind: 'exporters', rows }),
    },
  );
}
