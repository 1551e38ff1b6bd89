/**
 * Makes the forward stage of a worker from its setup.
 */
import { assert } from '../../toolkit/base/assert.ts';
import { wallMs } from '../../toolkit/base/clock.ts';
import { Control, type Tell } from '../control.ts';
import type { WorkerSetup } from '../setup.ts';
import { IDLE_WAIT_MS, type Stage } from '../stage.ts';
import { Door } from './door.ts';

export function makeStage(setup: WorkerSetup, tell: Tell): Stage {
  assert(setup.forward !== null, 'the forwarder has options and a door');
  return new ParkedStage('forward', setup, new Door(setup.forward, tell), tell);
}

/** Waits and drains: it forwards nothing. */
class ParkedStage implements Stage {
  readonly roleName: string;
  readonly #control: Control;
  readonly #door: Door | null;
  readonly #tell: Tell;
  readonly #word = new Int32Array(new SharedArrayBuffer(4));
  #reported = -1;

  constructor(roleName: string, setup: WorkerSetup, door: Door | null, tell: Tell) {
    this.roleName = roleName;
    this.#control = new Control(setup.commands);
    this.#door = door;
    this.#tell = tell;
  }

  get done(): boolean {
    return this.#control.isDraining;
  }

  onStart(): void {
    this.#report();
  }

  doWork(): number {
    Atomics.wait(this.#word, 0, 0, IDLE_WAIT_MS);
    this.#door?.poll();
    this.#door?.takeOptions();
    this.#report();
    return 0;
  }

  onClose(): void {
    this.#control.close();
    this.#door?.close();
  }

  #report(): void {
    const generation = this.#door?.generation ?? this.#reported;
    if (generation === this.#reported) return;
    this.#reported = generation;
    this.#tell({
      kind: 'forward',
      report: {
        timeMs: wallMs(),
        generation,
        channels: [],
        cpuMs: 0,
        coldReads: 0,
        catchupBytes: 0,
      },
    });
  }
}
