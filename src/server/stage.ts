/**
 * Stage: one step of the flow, run by one worker; the two ways in which a worker runs it.
 *
 * runBlocking  owns its thread: `doWork` is called without end and may block in a system call for
 *              at most IDLE_WAIT_MS (collect, journal, forward).
 * runOnLoop    lives on a normal event loop (store, dashboard): `doWork` may return a promise.
 * The habit is Agrona's Agent: `doWork` returns the amount of work done and the runner idles on 0.
 */

export interface Stage {
  /** Names the worker in logs, metrics and `ps -T`. */
  readonly roleName: string;
  onStart(): void | Promise<void>;
  /** One turn of the duty cycle; 0 = nothing to do. */
  doWork(): number | Promise<number>;
  /** True when the drain is complete: the runner makes no further turn. */
  readonly done: boolean;
  /** After the last turn; gives back what onStart took. */
  onClose(): void | Promise<void>;
}

/** The longest that a blocking stage sleeps before it looks at its control word again. */
export const IDLE_WAIT_MS = 50;
