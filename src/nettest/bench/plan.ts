/**
 * Plan: which contestants run in which cells of the bench, in which order.
 *
 * WHY         A cell is one path, placement, message size and fan-out; within it everything that
 *             sends is measured in the same round, one after the other, so that a machine that
 *             becomes busy makes all of them slower. The order turns by one each round: nobody is
 *             always first.
 * CONTESTANTS the mechanisms of OutputWriter, the C yardstick's ways, and plain node:net.
 */
import { MillraceError } from '../../toolkit/base/errors.ts';
import { MECHANISMS, type Mechanism } from '../../toolkit/output/index.ts';

export const PATHS = ['tcp', 'unix', 'veth'] as const;
export type Path = (typeof PATHS)[number];

/** Sender and receiver on one CPU, on two, or wherever the scheduler puts them. */
export const PINS = ['one', 'two', 'none'] as const;
export type Pin = (typeof PINS)[number];

export const MESSAGE_BYTES = [4096, 16_384, 65_536, 262_144, 1_048_576] as const;
export const FAN_OUTS = [1, 8] as const;

/** Modes of bench/peers/xmit.c. */
export const YARDSTICK_MODES = ['send', 'splice', 'sendfile', 'tee', 'zerocopy'] as const;
export type YardstickMode = (typeof YARDSTICK_MODES)[number];

export type AgentMechanism = Mechanism | 'auto' | 'node-net';

export type Contestant =
  | { readonly name: string; readonly kind: 'yardstick'; readonly mode: YardstickMode }
  | { readonly name: string; readonly kind: 'agent'; readonly mechanism: AgentMechanism };

/** What every ratio of a cell is against. */
export const REFERENCE = 'c-send';
export const NODE_NET = 'node-net';
export const AUTO = 'auto';

export const CONTESTANTS: readonly Contestant[] = [
  ...YARDSTICK_MODES.map((mode) => ({ name: `c-${mode}`, kind: 'yardstick', mode }) as const),
  { name: NODE_NET, kind: 'agent', mechanism: 'node-net' },
  ...MECHANISMS.map((mechanism) => ({ name: mechanism, kind: 'agent', mechanism }) as const),
  { name: AUTO, kind: 'agent', mechanism: 'auto' },
];

/** The way of the yardstick that does what a mechanism does. */
export const COUNTERPARTS: Readonly<Partial<Record<AgentMechanism, string>>> = {
  copy: 'c-send',
  splice: 'c-splice',
  file: 'c-sendfile',
  tee: 'c-tee',
  msgZerocopy: 'c-zerocopy',
};

export interface Cell {
  readonly path: Path;
  readonly pin: Pin;
  readonly messageBytes: number;
  readonly fanOut: number;
}

export interface Run {
  readonly cell: Cell;
  readonly contestant: Contestant;
}

export function cellName({ path, pin, messageBytes, fanOut }: Cell): string {
  return `${path} ${messageBytes / 1024} KiB x${fanOut} ${pin}`;
}

/** Words of --only: of one kind, any of them; of several kinds, all of them. */
export interface Filter {
  readonly paths: readonly Path[];
  readonly messageBytes: readonly number[];
  readonly fanOuts: readonly number[];
  readonly contestants: readonly string[];
}

const ALL: Filter = {
  paths: PATHS,
  messageBytes: MESSAGE_BYTES,
  fanOuts: FAN_OUTS,
  contestants: CONTESTANTS.map(({ name }) => name),
};

/** `tcp,64K,x1,splice`: paths, message sizes (4K .. 1M), fan-outs (x1, x8), contestants. */
export function parseOnly(text: string): Filter {
  const paths: Path[] = [];
  const messageBytes: number[] = [];
  const fanOuts: number[] = [];
  const contestants: string[] = [];
  for (const word of text.split(',').map((one) => one.trim())) {
    const size = /^(\d+)([KM])$/i.exec(word);
    const fanOut = /^x(\d+)$/i.exec(word);
    const bytes = size === null ? 0 : Number(size[1]) * (size[2]!.toUpperCase() === 'K' ? 1 : 1024);
    const path = PATHS.find((one) => one === word);
    if (path !== undefined) paths.push(path);
    else if (ALL.messageBytes.includes(bytes * 1024)) messageBytes.push(bytes * 1024);
    else if (fanOut !== null && ALL.fanOuts.includes(Number(fanOut[1]))) {
      fanOuts.push(Number(fanOut[1]));
    } else if (ALL.contestants.includes(word)) contestants.push(word);
    else throw unknownWord(word);
  }
  return {
    paths: paths.length > 0 ? paths : ALL.paths,
    messageBytes: messageBytes.length > 0 ? messageBytes : ALL.messageBytes,
    fanOuts: fanOuts.length > 0 ? fanOuts : ALL.fanOuts,
    contestants: contestants.length > 0 ? [REFERENCE, ...contestants] : ALL.contestants,
  };
}

function unknownWord(word: string): MillraceError {
  return new MillraceError(
    'MR_USAGE',
    `--only does not know ${JSON.stringify(word)}`,
    `use any of ${PATHS.join(', ')}; 4K, 16K, 64K, 256K, 1M; x1, x8; ${ALL.contestants.join(', ')}`,
  );
}

export interface PlanOptions {
  readonly only?: string | undefined;
  readonly isQuick?: boolean;
  readonly pin: Pin;
  /** Paths that this machine offers. */
  readonly paths: readonly Path[];
  readonly hasYardstick: boolean;
  readonly cpuCount: number;
}

/** What --quick runs: enough for the rows with targets. */
const QUICK: Filter = { ...ALL, paths: ['tcp', 'unix'], messageBytes: [65_536, 262_144] };

/** The message size of the targets of splice. */
export const SPLICE_MESSAGE_BYTES = 65_536;

/** Cells whose system time has a target: see bench.ts. */
export function isTargetCell({ path, pin, messageBytes, fanOut }: Cell): boolean {
  const isPlace = path !== 'veth' && fanOut === 1 && pin !== 'two';
  return isPlace && messageBytes === SPLICE_MESSAGE_BYTES;
}

/** Cells that are run on two CPUs as well: what context switches cost is not in those. */
function isOnBoth({ path, messageBytes, fanOut }: Cell): boolean {
  return path !== 'veth' && fanOut === 1 && messageBytes >= SPLICE_MESSAGE_BYTES;
}

/** Every run of one round. */
export function makePlan(options: PlanOptions): readonly Run[] {
  const base = options.isQuick === true ? QUICK : ALL;
  const asked = options.only === undefined ? base : parseOnly(options.only);
  const cells = cellsOf(asked, options);
  const runs: Run[] = [];
  for (const cell of cells) {
    for (const contestant of CONTESTANTS) {
      const isYardstick = contestant.kind === 'yardstick';
      if (isYardstick && !options.hasYardstick) continue;
      if (!asked.contestants.includes(contestant.name) || !suits(contestant, cell)) continue;
      runs.push({ cell, contestant });
    }
  }
  return runs;
}

function cellsOf(filter: Filter, options: PlanOptions): Cell[] {
  const cells: Cell[] = [];
  const { pin } = options;
  for (const path of filter.paths.filter((one) => options.paths.includes(one))) {
    for (const fanOut of filter.fanOuts) {
      for (const messageBytes of filter.messageBytes) {
        cells.push({ path, pin, messageBytes, fanOut });
      }
    }
  }
  const isBoth = pin === 'one' && options.cpuCount > 1;
  const beside = cells.filter(isOnBoth);
  return isBoth ? [...cells, ...beside.map((cell) => ({ ...cell, pin: 'two' }) as const)] : cells;
}

/** Whether a contestant can run in a cell at all, as far as that is known beforehand. */
function suits(contestant: Contestant, { path, pin }: Cell): boolean {
  if (contestant.name === 'null') return path === 'tcp' && pin !== 'two';
  const isZerocopy = ['c-zerocopy', 'msgZerocopy', 'uringZerocopy'].includes(contestant.name);
  return !(isZerocopy && path === 'unix');
}

/** The runs of one round: cell by cell, the order within each turned by `round`. */
export function orderOfRound(runs: readonly Run[], round: number): readonly Run[] {
  const byCell = new Map<Cell, Run[]>();
  for (const run of runs) {
    const list = byCell.get(run.cell) ?? [];
    list.push(run);
    byCell.set(run.cell, list);
  }
  return [...byCell.values()].flatMap((list) =>
    list.map((_, index) => list[(index + round) % list.length]!),
  );
}
