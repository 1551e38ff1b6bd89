/**
 * `arena`: memory for pages, three ways: anonymous, anonymous in huge pages, a mapped memory file.
 *
 * WHY      docs/decisions/0008-anonymous-arena.md keeps anonymous memory; these are its figures.
 * METHOD   Each round makes all three anew and takes the least of some short runs (of creation,
 *          the only one); the median of the rounds counts. `reference` is vmsplice(2) of 64 KiB
 *          into a pipe and splice(2) from there to /dev/null: what the kernel does for each OS
 *          page, no more. `life of a page` is what the pool adds to a page that is sent.
 */
import { unlinkSync } from 'node:fs';
import { createArena, renewMemory } from '../src/toolkit/pages/arena.ts';
import { PagePool } from '../src/toolkit/pages/page-pool.ts';
import {
  checked,
  closeFd,
  ftruncate,
  madvise,
  mapFile,
  openFile,
  pipeCreate,
  splice,
  vmsplice,
} from '../src/toolkit/sys/index.ts';
import { type Bench, numberOption } from './bench.ts';
import { type BenchRow, makeRow } from './lib/result.ts';

const MIB = 2 ** 20;
const PAGE_BYTES = 65_536;
const OS_PAGE_BYTES = 4096;
const REPEATS = 20;
const PAGE_COUNT_MAX = 64;
const HELD_COUNTS = [0, 63, 1023];

interface Memory {
  readonly bytes: Uint8Array;
  /** Replaces the memory of a page; null where the kernel gives the old one back. */
  readonly renew: ((offset: number) => void) | null;
}

type Maker = (length: number) => Memory;

const MAKERS: Readonly<Record<string, Maker>> = {
  anonymous: (length) => makeAnonymous(length, false),
  'anonymous, huge': (length) => makeAnonymous(length, true),
  'memory file': makeMapped,
};

function makeAnonymous(length: number, huge: boolean): Memory {
  const { memory, offset, report } = createArena(length, { prefault: true, huge });
  const bytes = new Uint8Array(memory.buffer, offset, length);
  return { bytes, renew: (at) => void renewMemory(bytes, at, PAGE_BYTES, report) };
}

/** A file of /dev/shm is what memfd_create(2) gives: tmpfs, MAP_SHARED. */
function makeMapped(length: number): Memory {
  const path = `/dev/shm/millrace-arena-${process.pid}`;
  const fd = checked('open', openFile(path, ['readWrite', 'create', 'exclusive']), path);
  try {
    unlinkSync(path);
    checked('ftruncate', ftruncate(fd, length));
    const bytes = new Uint8Array(mapFile(fd, 0, length));
    checked('madvise', madvise(bytes, 0, length, 'populateWrite'));
    return { bytes, renew: null };
  } finally {
    closeFd(fd);
  }
}

/** Nanoseconds of `work`, divided by `parts`. */
function time(parts: number, work: () => void): number {
  const started = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - started) / parts;
}

/** The least of some: short enough that most are not interrupted by other programs. */
function best(parts: number, work: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let times = 0; times < REPEATS; times++) least = Math.min(least, time(parts, work));
  return least;
}

/** The same code over every kind of memory, so that none is compiled for one of them alone. */
function sum(words: Uint32Array): number {
  let total = 0;
  for (let index = 0; index < words.length; index++) total = (total + words[index]!) | 0;
  return total;
}

function stamp(view: DataView, length: number, value: number): void {
  for (let at = 0; at < length; at += 8) view.setUint32(at, value);
}

/** One measurement of everything but creation: row name -> value. */
function measure({ bytes, renew }: Memory, pipe: Int32Array, sink: number): Map<string, number> {
  const found = new Map<string, number>();
  const length = MIB;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, length / 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  const piece = new Uint8Array(PAGE_BYTES).fill(1);
  const pageCount = Math.min(bytes.length / PAGE_BYTES, PAGE_COUNT_MAX);
  const [from, to] = pipe as unknown as [number, number];
  const note = (name: string, parts: number, work: () => void): void => {
    found.set(name, best(parts, work));
  };
  note('element read, Uint32Array (ns)', length / 4, () => sum(words));
  note('element write, DataView (ns)', length / 8, () => stamp(view, length, 7));
  note('copy in, 64 KiB, set() (ns)', pageCount, () => {
    for (let page = 0; page < pageCount; page++) bytes.set(piece, page * PAGE_BYTES);
  });
  note('reference, 64 KiB (ns)', pageCount, () => {
    for (let page = 0; page < pageCount; page++) {
      checked('vmsplice', vmsplice(to, bytes, page * PAGE_BYTES, PAGE_BYTES));
      checked('splice', splice(from, sink, PAGE_BYTES));
    }
  });
  if (renew !== null) {
    note('renewal, 64 KiB (ns)', pageCount, () => {
      for (let page = 0; page < pageCount; page++) renew(page * PAGE_BYTES);
    });
  }
  return found;
}

/** acquire, retain, stopFilling, lend, release, giveBack while `heldCount` pages are held. */
function measurePool(heldCount: number): number {
  const pool = PagePool.create({ pageBytes: OS_PAGE_BYTES, pageCount: heldCount + 1 });
  for (let page = 0; page < heldCount; page++) pool.acquire(1);
  const lives = 2_000;
  return best(lives, () => {
    for (let life = 0; life < lives; life++) {
      const page = pool.acquire(1);
      pool.retain(page);
      pool.stopFilling(page);
      pool.lend(page);
      pool.release(page);
      pool.giveBack(page);
    }
  });
}

function add(rows: Map<string, number[]>, name: string, value: number): void {
  const values = rows.get(name);
  if (values === undefined) rows.set(name, [value]);
  else values.push(value);
}

/** A row's name ends in its unit. */
function toRow([name, values]: [string, number[]]): BenchRow {
  const [, what, unit] = /^(.*) \((\S+)\)$/.exec(name)!;
  return makeRow(what!, values, unit!);
}

export const arenaBench: Bench = {
  name: 'arena',
  description: 'memory for pages: anonymous, huge, a mapped file; what each costs',
  options: [
    { name: 'mib', argument: 'N', default: '64', help: 'MiB of an arena' },
    { name: 'rounds', argument: 'N', default: '7', help: 'rounds; the median counts' },
  ],
  run(values, progress) {
    const length = numberOption(values, 'mib', 2) * MIB;
    const rounds = numberOption(values, 'rounds', 1);
    const pipe = new Int32Array(2);
    checked('pipe', pipeCreate(pipe));
    const sink = checked('open', openFile('/dev/null', ['write']));
    const rows = new Map<string, number[]>();
    // Not counted: compiles everything, and has the host back the memory.
    for (const make of Object.values(MAKERS)) measure(make(length), pipe, sink);
    measurePool(0);
    for (let round = 1; round <= rounds; round++) {
      progress(`round ${round} of ${rounds}`);
      for (const [kind, make] of Object.entries(MAKERS)) {
        let memory: Memory | undefined;
        const perPage = time(length / OS_PAGE_BYTES, () => {
          memory = make(length);
        });
        add(rows, `${kind}: creation with all memory, per 4 KiB (ns)`, perPage);
        for (const [name, value] of measure(memory!, pipe, sink)) {
          add(rows, `${kind}: ${name}`, value);
        }
      }
      for (const heldCount of HELD_COUNTS) {
        const name = `pool: life of a page, ${heldCount} others held (ns)`;
        add(rows, name, measurePool(heldCount));
      }
    }
    for (const fd of [...pipe, sink]) closeFd(fd);
    return Promise.resolve([...rows].map(toRow));
  },
};
