/**
 * What `ring` measures: groups of subjects that are measured one after the other, and the rows that
 * divide one subject's throughput by another's of the same round.
 *
 * A subject is `cpp:CASE` (bench/peers/ring.cpp) or `js:CASE` (cases.ts).
 */

/** One quotient of throughputs. */
export interface RatioRow {
  readonly name: string;
  readonly over: string;
  readonly under: string;
  readonly atLeast?: number;
}

export interface Group {
  /** For --only. */
  readonly name: string;
  /** Never under SCHED_FIFO: the rows are about what the scheduler does with too many threads. */
  readonly isOrdinary?: boolean;
  /** In the order in which they are measured: neighbours are compared. */
  readonly subjects: readonly string[];
  readonly rows: readonly RatioRow[];
}

const SPSC_SINGLE: Group = {
  name: 'spsc-single',
  subjects: [
    'cpp:spsc-single-seq-cst-eager',
    'cpp:spsc-single-seq-cst',
    'js:spsc-single',
    'cpp:spsc-single',
    'js:spsc-lazy-64',
    'js:spsc-single-atomics',
  ],
  rows: [
    {
      name: 'SPSC single / seq-cst C++',
      over: 'js:spsc-single',
      under: 'cpp:spsc-single-seq-cst',
      atLeast: 0.9,
    },
    {
      name: 'SPSC single / seq-cst C++ that gives each slot back',
      over: 'js:spsc-single',
      under: 'cpp:spsc-single-seq-cst-eager',
    },
    { name: 'SPSC single / acq-rel C++', over: 'js:spsc-single', under: 'cpp:spsc-single' },
    {
      name: 'SPSC single, published each 64 / acq-rel C++ single',
      over: 'js:spsc-lazy-64',
      under: 'cpp:spsc-single',
    },
    {
      name: 'SPSC single: WebAssembly / Atomics',
      over: 'js:spsc-single',
      under: 'js:spsc-single-atomics',
    },
  ],
};

const SPSC_BATCH: Group = {
  name: 'spsc-batch',
  subjects: [
    'cpp:spsc-batch-64',
    'js:spsc-batch-64',
    'js:spsc-claim-64',
    'cpp:spsc-batch-512',
    'js:spsc-batch-512',
  ],
  rows: [
    {
      name: 'SPSC batch 64 / acq-rel C++',
      over: 'js:spsc-batch-64',
      under: 'cpp:spsc-batch-64',
      atLeast: 0.4,
    },
    {
      name: 'SPSC batch 64, claimed in place / acq-rel C++ batch',
      over: 'js:spsc-claim-64',
      under: 'cpp:spsc-batch-64',
    },
    {
      name: 'SPSC batch 512 / acq-rel C++',
      over: 'js:spsc-batch-512',
      under: 'cpp:spsc-batch-512',
    },
  ],
};

const PORT: Group = {
  name: 'port',
  subjects: ['js:port-single', 'js:spsc-single', 'js:spsc-batch-64', 'js:port-batch-64'],
  rows: [
    {
      name: 'SPSC single / MessagePort',
      over: 'js:spsc-single',
      under: 'js:port-single',
      atLeast: 20,
    },
    {
      name: 'SPSC batch 64 / MessagePort',
      over: 'js:spsc-batch-64',
      under: 'js:port-single',
      atLeast: 200,
    },
    {
      name: 'SPSC batch 64 / MessagePort, arrays of 64',
      over: 'js:spsc-batch-64',
      under: 'js:port-batch-64',
    },
  ],
};

const RINGBUF: Group = {
  name: 'ringbuf',
  subjects: [
    'js:ringbuf-1',
    'js:spsc-single',
    'js:spsc-lazy-64',
    'js:ringbuf-64',
    'js:spsc-batch-64',
    'js:spsc-claim-64',
    'js:ringbuf-512',
    'js:spsc-batch-512',
  ],
  rows: [
    {
      name: 'SPSC single / ringbuf.js batch 1',
      over: 'js:spsc-single',
      under: 'js:ringbuf-1',
      atLeast: 10,
    },
    {
      name: 'SPSC single, published each 64 / ringbuf.js batch 1',
      over: 'js:spsc-lazy-64',
      under: 'js:ringbuf-1',
    },
    {
      name: 'SPSC batch 64 / ringbuf.js batch 64',
      over: 'js:spsc-batch-64',
      under: 'js:ringbuf-64',
      atLeast: 1.5,
    },
    {
      name: 'SPSC batch 64, claimed in place / ringbuf.js batch 64',
      over: 'js:spsc-claim-64',
      under: 'js:ringbuf-64',
    },
    {
      name: 'SPSC batch 512 / ringbuf.js batch 512',
      over: 'js:spsc-batch-512',
      under: 'js:ringbuf-512',
      atLeast: 1,
    },
  ],
};

const SPSC_LARGE: Group = {
  name: 'spsc-large',
  subjects: [
    'cpp:spsc-pages',
    'js:spsc-pages',
    'cpp:spsc-record',
    'js:spsc-record',
    'js:spsc-bytes-64',
  ],
  rows: [
    {
      name: '4 KiB pages by index / C++',
      over: 'js:spsc-pages',
      under: 'cpp:spsc-pages',
      atLeast: 0.8,
    },
    { name: 'SPSC 64-byte record / C++', over: 'js:spsc-record', under: 'cpp:spsc-record' },
  ],
};

const MPMC: Group = {
  name: 'mpmc',
  subjects: [
    'cpp:mpmc-single-1x1',
    'js:mpmc-single-1x1',
    'cpp:mpmc-single-seq-cst-1x1',
    'js:mpmc-single-atomics-1x1',
    'cpp:mpmc-batch-32-1x1',
    'js:mpmc-batch-32-1x1',
    'js:mpmc-batch-32-2x2',
    'cpp:mpmc-batch-32-2x2',
    'cpp:mpmc-single-2x2',
    'js:mpmc-single-2x2',
    'cpp:mpmc-single-seq-cst-2x2',
  ],
  rows: [
    {
      name: 'MPMC single, 1 x 1 / Vyukov C++',
      over: 'js:mpmc-single-1x1',
      under: 'cpp:mpmc-single-1x1',
      atLeast: 0.5,
    },
    {
      name: 'MPMC single, 2 x 2 / Vyukov C++',
      over: 'js:mpmc-single-2x2',
      under: 'cpp:mpmc-single-2x2',
      atLeast: 0.2,
    },
    {
      name: 'MPMC batch 32, 1 x 1 / batched C++',
      over: 'js:mpmc-batch-32-1x1',
      under: 'cpp:mpmc-batch-32-1x1',
      atLeast: 0.2,
    },
    {
      name: 'MPMC batch 32, 2 x 2 / batched C++',
      over: 'js:mpmc-batch-32-2x2',
      under: 'cpp:mpmc-batch-32-2x2',
      atLeast: 0.4,
    },
    {
      name: 'MPMC single, 1 x 1 / seq-cst Vyukov C++',
      over: 'js:mpmc-single-1x1',
      under: 'cpp:mpmc-single-seq-cst-1x1',
    },
    {
      name: 'MPMC single, 2 x 2 / seq-cst Vyukov C++',
      over: 'js:mpmc-single-2x2',
      under: 'cpp:mpmc-single-seq-cst-2x2',
    },
    {
      name: 'MPMC single, 1 x 1: WebAssembly / Atomics',
      over: 'js:mpmc-single-1x1',
      under: 'js:mpmc-single-atomics-1x1',
    },
  ],
};

/** More threads than CPUs, where there are two. */
const CROWD: Group = {
  name: 'crowd',
  isOrdinary: true,
  subjects: [
    'js:spsc-crowd-1x1',
    'js:spsc-crowd-2x2',
    'js:mpmc-single-2x2',
    'js:mpmc-single-1x1',
    'js:mpmc-batch-32-1x1',
    'js:mpmc-batch-32-2x2',
  ],
  rows: [
    {
      name: '4 threads on 2 CPUs / 2 threads: SPSC single, two rings / one',
      over: 'js:spsc-crowd-2x2',
      under: 'js:spsc-crowd-1x1',
      atLeast: 0.5,
    },
    {
      name: '4 threads on 2 CPUs / 2 threads: MPMC single',
      over: 'js:mpmc-single-2x2',
      under: 'js:mpmc-single-1x1',
      atLeast: 0.5,
    },
    {
      name: '4 threads on 2 CPUs / 2 threads: MPMC batch 32',
      over: 'js:mpmc-batch-32-2x2',
      under: 'js:mpmc-batch-32-1x1',
      atLeast: 0.5,
    },
  ],
};

const BROADCAST: Group = {
  name: 'broadcast',
  subjects: ['js:broadcast-single-1x1', 'js:broadcast-1x1', 'js:broadcast-1x2'],
  rows: [
    {
      name: 'broadcast to 2 readers / to 1 reader',
      over: 'js:broadcast-1x2',
      under: 'js:broadcast-1x1',
    },
  ],
};

const LATENCY: Group = {
  name: 'latency',
  subjects: [
    'cpp:round-trip-spin',
    'js:round-trip-spin',
    'cpp:round-trip-futex',
    'js:round-trip-park',
    'js:round-trip-port',
    'js:seqlock-write',
  ],
  rows: [
    {
      name: 'round trips, spinning: JavaScript / C++',
      over: 'js:round-trip-spin',
      under: 'cpp:round-trip-spin',
    },
    {
      name: 'round trips, asleep between: IdleStrategy / C++ futex',
      over: 'js:round-trip-park',
      under: 'cpp:round-trip-futex',
    },
    {
      name: 'round trips, asleep between: IdleStrategy / MessagePort',
      over: 'js:round-trip-park',
      under: 'js:round-trip-port',
    },
  ],
};

export const GROUPS: readonly Group[] = [
  SPSC_SINGLE,
  SPSC_BATCH,
  PORT,
  RINGBUF,
  SPSC_LARGE,
  MPMC,
  CROWD,
  BROADCAST,
  LATENCY,
];

/** Items of the first run of a subject; the others of one are sized by time. */
const FIRST_ITEMS = 8192;
/** What takes a wake-up each. */
const FIRST_ITEMS_SLEEPING = 256;
const SLEEPING = new Set(['cpp:round-trip-futex', 'js:round-trip-park', 'js:round-trip-port']);

export function firstItems(subject: string): number {
  return SLEEPING.has(subject) ? FIRST_ITEMS_SLEEPING : FIRST_ITEMS;
}

/** Senders and receivers of a subject: one each unless its name says P x C. */
export function threadsOf(subject: string): readonly [number, number] {
  const [, producers, consumers] = /-(\d)x(\d)$/.exec(subject) ?? [];
  return producers === undefined ? [1, 1] : [Number(producers), Number(consumers)];
}
