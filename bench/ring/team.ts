/**
 * The threads of one case of the JavaScript side, kept asleep between its sections.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { MillraceError } from '../../src/toolkit/base/errors.ts';
import type { RingCase } from './case.ts';
import { CASES } from './cases.ts';
import type { Seat, Section, SectionOrder, SectionReport } from './section.ts';

export class RingTeam {
  readonly #name: string;
  readonly #case: RingCase;
  readonly #workers: readonly Worker[];
  /** As the kernel numbers them. */
  readonly threadIds: readonly number[];
  #arrivals = 0;

  private constructor(name: string, workers: readonly Worker[], threadIds: readonly number[]) {
    this.#name = name;
    this.#case = CASES[name]!;
    this.#workers = workers;
    this.threadIds = threadIds;
  }

  /** `cpus` names one for each thread. */
  static async start(name: string, cpus: readonly number[], isCrowded: boolean): Promise<RingTeam> {
    const barrier = new SharedArrayBuffer(4);
    const workers = CASES[name]!.share().map(({ data, transfer = [] }, index) => {
      const seat: Seat = { name, index, cpu: cpus[index]!, barrier, isCrowded, data };
      const url = new URL('./worker.js', import.meta.url);
      const worker = new Worker(url, { workerData: seat, transferList: [...transfer] });
      return worker;
    });
    const ids = await Promise.all(workers.map((worker) => answerOf<number>(worker)));
    return new RingTeam(name, workers, ids);
  }

  /** One timed section. */
  async run(items: number): Promise<Section> {
    this.#arrivals += this.#workers.length;
    const order: SectionOrder = { items, arrivals: this.#arrivals };
    const answers = this.#workers.map((worker) => answerOf<SectionReport>(worker));
    for (const worker of this.#workers) worker.postMessage(order);
    const reports = await Promise.all(answers);
    const sum = reports.reduce((total, report) => total + report.sum, 0);
    const expected = this.#case.expected(items);
    if (sum !== expected) {
      throw new MillraceError('MR_INPUT', `${this.#name}: the sum is ${sum}, not ${expected}`);
    }
    return {
      ns:
        Math.max(...reports.map((report) => report.endedNs)) -
        Math.min(...reports.map((report) => report.startedNs)),
      switches: reports.reduce((total, report) => total + report.switches, 0),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

/** The next message of a worker; its error, if that comes first. */
async function answerOf<Answer>(worker: Worker): Promise<Answer> {
  const [answer] = (await once(worker, 'message')) as [Answer];
  return answer;
}
