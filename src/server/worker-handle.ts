/**
 * Worker handle: the supervisor's side of one worker thread.
 *
 * OWNERSHIP  Starts the thread, waits for its word, passes its messages on, knows why it ended.
 */
import { Worker } from 'node:worker_threads';
import { ERRORS, type ErrorCode, MillraceError } from '../toolkit/base/errors.ts';
import { COMMAND_DRAIN, type Commands, type WorkerMessage, type WorkerRequest } from './control.ts';
import type { WorkerSetup } from './setup.ts';

export interface WorkerEvents {
  /** Messages but `started`, `drained` and `failed`. */
  readonly onMessage: (message: WorkerMessage) => void;
  /** The thread ended and had not been told to drain. */
  readonly onDeath: (error: Error) => void;
}

export class WorkerHandle {
  readonly setup: WorkerSetup;
  readonly #commands: Commands;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  /** The thread has ended, however. */
  hasEnded = false;
  #drained = false;
  #isExpected = false;
  #hasStarted = false;
  #error: Error | null = null;

  private constructor(setup: WorkerSetup, commands: Commands, worker: Worker) {
    this.setup = setup;
    this.#commands = commands;
    this.#worker = worker;
    this.#ended = new Promise((resolve) => {
      worker.once('exit', () => {
        this.hasEnded = true;
        resolve();
      });
    });
  }

  /** Resolves when the stage has started. Throws what its onStart threw. */
  static async start(
    setup: WorkerSetup,
    commands: Commands,
    events: WorkerEvents,
  ): Promise<WorkerHandle> {
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: setup,
      name: setup.role,
      transferList: setup.forward === null ? [] : [setup.forward.port],
    });
    const handle = new WorkerHandle(setup, commands, worker);
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (message: WorkerMessage) => {
        if (message.kind === 'started') {
          handle.#hasStarted = true;
          resolve();
        } else if (message.kind === 'failed') reject(toError(message));
        else if (message.kind === 'drained') handle.#drained = true;
        else events.onMessage(message);
      });
      worker.on('error', (error) => {
        handle.#error = error instanceof Error ? error : new Error(String(error));
        reject(handle.#error);
      });
      worker.once('exit', () => {
        const error = handle.#error ?? new Error(`the ${setup.role} worker ended`);
        reject(error);
        const isDeath = handle.#hasStarted && !handle.#drained && !handle.#isExpected;
        if (isDeath) events.onDeath(error);
      });
    }).catch(async (error: unknown) => {
      handle.#isExpected = true;
      await worker.terminate();
      throw error;
    });
    return handle;
  }

  /** Resolves when the thread has ended, however. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** The thread, as `millrace/cpu` takes it. */
  get thread(): Worker {
    return this.#worker;
  }

  post(request: WorkerRequest): void {
    this.#worker.postMessage(request);
  }

  /**
   * Tells the stage to drain; true when it did within the time, else the thread is ended by force.
   */
  async drain(timeoutMs: number, wake: () => void): Promise<boolean> {
    this.#isExpected = true;
    this.#commands.send(COMMAND_DRAIN);
    wake();
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    const ended = await Promise.race([this.#ended.then(() => true as const), timeout]);
    clearTimeout(timer);
    // A thread inside DuckDB must not be ended by force: it would abort the process.
    if (!ended && this.setup.role !== 'store') await this.#worker.terminate();
    return ended && this.#drained;
  }

  /** Ends the thread at once. */
  async stop(): Promise<void> {
    this.#isExpected = true;
    await this.#worker.terminate();
  }
}

function toError(message: { code: string; message: string; remedy: string }): MillraceError {
  const code = (message.code in ERRORS ? message.code : 'MR_WORKER_DIED') as ErrorCode;
  return new MillraceError(code, message.message, message.remedy);
}
