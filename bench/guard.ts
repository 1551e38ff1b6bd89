/**
 * `guard`: what the memory-corruption guard costs: idle, per trapped write, per toggled page; and
 * the same corrupting program under valgrind's memcheck.
 *
 * METHOD   Quotients of what was measured in turn, in one run. The C peer (bench/peers/guard.c)
 *          does by hand what the guard does: catch the fault, open the page, single-step, close it.
 */
import { MillraceError } from '../src/toolkit/base/errors.ts';
import { type Bench, type BenchValues, numberOption } from './bench.ts';
import { measurePeer, measureSubject, type SubjectName } from './guard/children.ts';
import { measureIdle } from './guard/idle.ts';
import { measureMemcheck, valgrindVersion } from './guard/memcheck.ts';
import { type BenchRow, type Bound, makeRow } from './lib/result.ts';
import type { Stages } from './lib/server.ts';

const PARTS = ['idle', 'trapped', 'toggle', 'memcheck'] as const;
type Part = (typeof PARTS)[number];

const TRAPPED_RATIO_MAX = 1.5;
const TOGGLE_RATIO_MAX = 1.2;
const US = 1000;

interface Compared {
  readonly name: string;
  readonly subject: SubjectName;
  readonly bound: Bound;
  /** Of the writes of a round: milliseconds each would be minutes. */
  readonly share?: number;
}

const TRAPPED: readonly Compared[] = [
  {
    name: 'trapped write, continue, culprit seen before (once)',
    subject: 'once',
    bound: { atMost: TRAPPED_RATIO_MAX },
  },
  {
    name: 'trapped write, continue by alias, culprit seen before (once)',
    subject: 'alias',
    bound: { atMost: TRAPPED_RATIO_MAX },
  },
  {
    name: 'trapped write, continue, a report each',
    subject: 'continue',
    bound: { atMost: TRAPPED_RATIO_MAX },
    share: 0.1,
  },
];

const TOGGLE: readonly Compared[] = [
  {
    name: 'protect + unprotect of a page from JavaScript',
    subject: 'toggle',
    bound: { atMost: TOGGLE_RATIO_MAX },
  },
];

/** Each subject beside the peer, round by round. */
function compare(
  all: readonly Compared[],
  peer: 'step' | 'protect',
  rounds: number,
  count: number,
): BenchRow[] {
  const peerUs: number[] = [];
  const us = all.map((): number[] => []);
  const ratios = all.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { subject, share = 1 }] of all.entries()) {
      const base = measurePeer(peer, count) / US;
      const found = measureSubject(subject, Math.ceil(count * share)) / US;
      peerUs.push(base);
      us[index]!.push(found);
      ratios[index]!.push(found / base);
    }
  }
  return [
    makeRow(peer === 'step' ? 'fault and single step in C' : 'the two calls in C', peerUs, 'µs'),
    ...all.flatMap(({ name, bound }, index) => [
      makeRow(name, us[index]!, 'µs'),
      makeRow(`${name} / in C`, ratios[index]!, 'x', bound),
    ]),
  ];
}

function partsOf(values: BenchValues): readonly Part[] {
  return values.parts!.split(',').map((name) => {
    const part = PARTS.find((one) => one === name);
    if (part !== undefined) return part;
    throw new MillraceError('MR_USAGE', `--parts: ${name}`, `some of ${PARTS.join(', ')}`);
  });
}

async function runGuard(
  values: BenchValues,
  progress: (text: string) => void,
): Promise<readonly BenchRow[]> {
  const parts = partsOf(values);
  const rounds = numberOption(values, 'rounds', 1);
  const count = numberOption(values, 'count', 1);
  const idle = {
    stages: values.stages as Stages,
    pairs: numberOption(values, 'pairs', 1),
    seconds: numberOption(values, 'seconds', 0.1),
  };
  const memcheckRounds = numberOption(values, 'memcheck-rounds', 1);
  const rows: BenchRow[] = [];
  for (const part of parts) {
    progress(part);
    if (part === 'idle') rows.push(...(await measureIdle(idle, progress)));
    else if (part === 'trapped') rows.push(...compare(TRAPPED, 'step', rounds, count));
    else if (part === 'toggle') rows.push(...compare(TOGGLE, 'protect', rounds, count));
    else rows.push(...(await measureMemcheck(memcheckRounds, progress)));
  }
  return rows;
}

export const guardBench: Bench = {
  name: 'guard',
  description: 'the memory-corruption guard: idle, per trapped write, per page, against memcheck',
  options: [
    { name: 'parts', argument: 'LIST', default: PARTS.join(','), help: 'which of them' },
    { name: 'stages', argument: 'NAME', default: 'decode', help: 'of the pipeline, for idle' },
    { name: 'pairs', argument: 'N', default: '48', help: 'pairs of rounds, for idle' },
    { name: 'seconds', argument: 'N', default: '1', help: 'length of a round of idle' },
    { name: 'rounds', argument: 'N', default: '9', help: 'rounds of trapped and toggle' },
    { name: 'count', argument: 'N', default: '20000', help: 'writes, or toggles, in a round' },
    { name: 'memcheck-rounds', argument: 'N', default: '2', help: 'runs under memcheck' },
  ],
  note() {
    const lines = [
      'Idle is a quotient of CPU times on virtual CPUs: it cannot show less than its interval.',
      'A trapped write costs what faults and signals cost on this machine: compare quotients.',
      'Memcheck cannot see the bug of the Node.js program: its time is that of looking in vain.',
    ];
    if (valgrindVersion() === null) lines.push('Memcheck was skipped: there is no valgrind here.');
    return lines.join(' ');
  },
  run: runGuard,
};
