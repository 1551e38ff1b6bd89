/**
 * Scenarios of the seqlock: one writer, readers that take what they find, a writer that dies.
 *
 * Record number n holds n in every word; a copy in which they differ is torn.
 */
import assert from 'node:assert/strict';
import { SEQLOCK_RECORD } from '../../src/toolkit/ring/seqlock-layout.ts';
import { join, type Program, read, write } from './access.ts';
import type { Scenario } from './machine.ts';
import type { KernelOptions, Kernels } from './rewrite.ts';

export const COUNTERS: KernelOptions = {
  modules: ['seqlock-kernel', '../counters/counters-kernel'],
  shared: ['words', 'values', 'into'],
};

export const SEQLOCK: KernelOptions = {
  modules: ['seqlock-kernel'],
  shared: ['words', 'values', 'into'],
};

const BASE = 4;
const COUNT = 2;
const BUSY = -1;

export interface SeqlockCase {
  readonly records: number;
  /** Attempts of each reader. */
  readonly reads: readonly number[];
  readonly startVersion?: number;
}

function makeCell() {
  const memory = new ArrayBuffer(256);
  return {
    memory,
    words: new Int32Array(memory, 0, 32),
    values: new Int32Array(memory, 128, 8),
    into: new Int32Array(memory, 160, 24),
  };
}

/** Attempts to copy: what was answered is one record, whole, and never an older one. */
function* readRecords(
  kernels: Kernels,
  cell: ReturnType<typeof makeCell>,
  reader: number,
  { reads, startVersion = 0 }: SeqlockCase,
): Program {
  const { words, into } = cell;
  const from = reader * COUNT;
  let newest = 0;
  for (let i = 0; i < reads[reader]!; i++) {
    const version = yield* kernels.seqlockRead!(words, BASE, into, from, COUNT);
    if (version === BUSY) continue;
    const record = yield* read(into, from);
    for (let at = 1; at < COUNT; at++) assert.equal(yield* read(into, from + at), record, 'torn');
    assert.equal((version - startVersion) >>> 1, record, 'the version of the record');
    assert.ok(record >= newest, 'an older record than before');
    newest = record;
  }
}

function* writeRecords(
  kernels: Kernels,
  { words, values }: ReturnType<typeof makeCell>,
  firstRecord: number,
  lastRecord: number,
): Program {
  for (let record = firstRecord; record <= lastRecord; record++) {
    for (let at = 0; at < COUNT; at++) yield* write(values, at, record);
    yield* kernels.seqlockWrite!(words, BASE, values, 0, COUNT);
  }
}

export function records(kernels: Kernels, spec: SeqlockCase): Scenario {
  const cell = makeCell();
  return () => {
    new Int32Array(cell.memory).fill(0);
    cell.words[BASE] = spec.startVersion ?? 0;
    const threads: Record<string, Program> = {
      writer: writeRecords(kernels, cell, 1, spec.records),
    };
    for (let i = 0; i < spec.reads.length; i++) {
      threads[`reader ${i}`] = readRecords(kernels, cell, i, spec);
    }
    const check = () => {
      assert.equal(cell.words[BASE + SEQLOCK_RECORD], spec.records);
      assert.equal((cell.words[BASE]! - (spec.startVersion ?? 0)) | 0, 2 * spec.records);
    };
    return { memory: cell.memory, threads, check };
  };
}

/** The writer (thread 0) dies; the next one writes a record of its own. Nothing torn is seen. */
export function writerDies(kernels: Kernels, reads: number): Scenario {
  const cell = makeCell();
  const { words, into } = cell;
  function* succeed(): Program {
    yield* join(0);
    yield* writeRecords(kernels, cell, 9, 9);
  }
  function* look(): Program {
    for (let i = 0; i < reads; i++) {
      const version = yield* kernels.seqlockRead!(words, BASE, into, 0, COUNT);
      if (version === BUSY) continue;
      assert.equal(yield* read(into, 1), yield* read(into, 0), 'torn');
    }
  }
  return () => {
    new Int32Array(cell.memory).fill(0);
    const threads = {
      writer: writeRecords(kernels, cell, 1, 2),
      successor: succeed(),
      reader: look(),
    };
    const check = () => assert.equal(words[BASE]! & 1, 0, 'whole in the end');
    return { memory: cell.memory, threads, check };
  };
}

/**
 * Counters: a writer (thread 0) adds to two counters and publishes, and may die; who buries it
 * publishes what it had counted, half an update perhaps. Without a death a reader never sees one
 * counter ahead of the other.
 */
export function counting(
  kernels: Kernels,
  rounds: number,
  reads: number,
  mayDie = false,
): Scenario {
  const cell = makeCell();
  const { words, into } = cell;
  const [live, base, count] = [20, 4, 3];
  const publish = () => kernels.counterPublish!(words, live, base, count);
  function* add(): Program {
    for (let round = 1; round <= rounds; round++) {
      // The third word does not change every time.
      for (const at of round === 2 ? [0, 1] : [0, 1, 2]) yield* write(words, live + at, round);
      yield* publish();
    }
  }
  function* look(): Program {
    for (let i = 0; i < reads; i++) {
      const version = yield* kernels.seqlockRead!(words, base, into, 0, count);
      if (version === BUSY || mayDie) continue;
      assert.equal(yield* read(into, 1), yield* read(into, 0), 'torn');
    }
  }
  function* bury(): Program {
    yield* join(0);
    yield* publish();
  }
  return () => {
    new Int32Array(cell.memory).fill(0);
    const check = () => {
      const [counted, copied] = [live, base + SEQLOCK_RECORD].map((at) =>
        words.slice(at, at + count),
      );
      assert.deepEqual(copied, counted, 'in the end what is published is what was counted');
      assert.equal(words[base]! & 1, 0, 'whole in the end');
    };
    return {
      memory: cell.memory,
      threads: { writer: add(), burier: bury(), reader: look() },
      check,
    };
  };
}
