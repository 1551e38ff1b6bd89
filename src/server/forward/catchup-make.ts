/**
 * Makes the catch-up stage of a worker from its setup.
 */
import { assert } from '../../toolkit/base/assert.ts';
import { IdleStrategy, SpscRing } from '../../toolkit/ring/index.ts';
import { Control } from '../control.ts';
import type { WorkerSetup } from '../setup.ts';
import type { Stage } from '../stage.ts';
import { CatchupWords } from './catchup-slot.ts';
import { CatchupStage } from './catchup-stage.ts';

export function makeCatchupStage(setup: WorkerSetup): Stage {
  const { catchup, forwardWakeFd } = setup.shared;
  assert(catchup !== null, 'a catch-up worker has requests');
  return new CatchupStage({
    requests: SpscRing.consumer(catchup.ring),
    words: new CatchupWords(catchup.done),
    sleeper: IdleStrategy.sleeper(catchup.idle),
    control: new Control(setup.commands),
    wakeFd: forwardWakeFd,
  });
}
