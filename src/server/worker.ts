/**
 * Worker: the entry of every worker thread; makes its stage and runs it until it is drained.
 *
 * WHY      Two kinds of stage, one runner each: a blocking stage never returns to the event loop, a
 *          stage on the loop must, because DuckDB answers by promises.
 * FAILURE  An error of onStart is told to the supervisor with its code; anything later ends the
 *          thread (the supervisor restarts it, or gives up: supervisor.ts).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { MillraceError } from '../toolkit/base/errors.ts';
import { registerThread } from '../toolkit/cpu/index.ts';
import { setThreadName } from '../toolkit/sys/index.ts';
import type { Tell, WorkerRequest } from './control.ts';
import { LogWriter } from './log-ring.ts';
import { FAULT_OPEN, type Fault, type Role, type WorkerSetup } from './setup.ts';
import type { Stage } from './stage.ts';

type StageMaker = (
  setup: WorkerSetup,
  tell: Tell,
  onRequest: (answer: (request: WorkerRequest) => unknown) => void,
) => Stage | Promise<Stage>;

/** A stage on the loop looks for work this often when it had none. */
const LOOP_IDLE_MS = 5;

/** role -> its stage; each worker loads the modules of its own stage only. */
const MAKERS: Readonly<Record<Role, () => Promise<StageMaker>>> = {
  collect: async () => (await import('./collect/make.ts')).makeStage,
  journal: async () => (await import('./journal/make.ts')).makeJournalStage,
  keeper: async () => (await import('./journal/make.ts')).makeKeeperStage,
  store: async () => (await import('./store/make.ts')).makeStage,
  forward: async () => (await import('./forward/make.ts')).makeStage,
  catchup: async () => (await import('./forward/catchup-make.ts')).makeCatchupStage,
};

/** Lines of the log go to the worker's ring, all else is a message. */
function tellWith(log: LogWriter): Tell {
  return (message) => {
    if (message.kind !== 'log') parentPort!.postMessage(message);
    else log.write(message.level, message.text, message.fields);
  };
}

/** Requests reach only stages on the loop; an answer that throws is told as an error. */
function onRequest(tell: Tell, answer: (request: WorkerRequest) => unknown): void {
  parentPort!.on('message', (request: WorkerRequest) => {
    try {
      tell({ kind: 'reply', id: request.id, value: answer(request), error: null });
    } catch (error) {
      tell({ kind: 'reply', id: request.id, value: null, error: String(error) });
    }
  });
}

function runBlocking(stage: Stage, faults: readonly Fault[]): void {
  if (faults.length > 0) runFaulty(stage, faults);
  while (!stage.done) void stage.doWork();
}

/** Tests only: until the last planted fault. */
function runFaulty(stage: Stage, faults: readonly Fault[]): void {
  const last = Math.max(...faults.map(({ time }) => time));
  for (let turn = 0; turn < last && !stage.done; ) {
    if (faults.every(isOpen)) turn++;
    const fault = faults.find(({ step, time }) => step === 'turn' && time === turn);
    if (fault?.pauseMs !== undefined) sleepSync(fault.pauseMs);
    else if (fault !== undefined) throw new Error(`planted fault at turn ${turn}`);
    void stage.doWork();
  }
}

function isOpen({ from }: Fault): boolean {
  return from === undefined || Atomics.load(from, FAULT_OPEN) !== 0;
}

function sleepSync(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

async function runOnLoop(stage: Stage): Promise<void> {
  while (!stage.done) {
    const work = await stage.doWork();
    if (work === 0) await sleep(LOOP_IDLE_MS);
    // Every turn: a flush has dozens of steps, and each waits for the loop.
    else await new Promise((resolve) => setImmediate(resolve));
  }
}

async function main(setup: WorkerSetup): Promise<void> {
  setThreadName(setup.index === 0 ? setup.role : `${setup.role}-${setup.index}`);
  const log = new LogWriter(setup.log);
  const tell = tellWith(log);
  let stage: Stage;
  try {
    registerThread(`${setup.role}-${setup.index}`);
    if (setup.shared.guard !== null) {
      const { nameThread } = await import('./arena-guard.ts');
      nameThread(`${setup.role}-${setup.index}`, setup.role);
    }
    stage = await (await MAKERS[setup.role]())(setup, tell, (answer) => onRequest(tell, answer));
    await stage.onStart();
  } catch (error) {
    const known = error instanceof MillraceError ? error : null;
    tell({
      kind: 'failed',
      code: known?.code ?? 'MR_WORKER_DIED',
      message:
        error instanceof Error ? (known?.message ?? error.stack ?? error.message) : String(error),
      remedy: known?.remedy ?? '',
    });
    return;
  }
  tell({ kind: 'started' });
  if (setup.role === 'store') await runOnLoop(stage);
  else runBlocking(stage, setup.faults);
  await stage.onClose();
  log.close();
  tell({ kind: 'drained' });
  parentPort!.close();
}

await main(workerData as WorkerSetup);
