/**
 * The rows with targets: what the zero-copy output promised, and what this machine shows.
 *
 * A row is the median over its rounds and cells; a cell that was not measured leaves the row out.
 * Rows without a target are there to be read beside those that have one.
 */
import { type Book, bothMs, type Pick, senderMs, senderSysMs, statisticOf } from './book.ts';
import {
  type AgentMechanism,
  AUTO,
  type Cell,
  COUNTERPARTS,
  MESSAGE_BYTES,
  NODE_NET,
  type Path,
  PINS,
  type Run,
  SPLICE_MESSAGE_BYTES,
} from './plan.ts';
import { makeRow, type Row } from './result.ts';

/** TypeScript against C with the same mechanism, sender's CPU time, from 64 KiB on. */
const TYPESCRIPT_AT_MOST = 1.05;
/** splice against send(), sender's system time, on one CPU; a path without a target is reported. */
const SPLICE_AT_MOST: Readonly<Partial<Record<Path, number>>> = { tcp: 0.7, unix: 0.65 };
const FAN_OUT_NODE_AT_MOST = 0.4;
const FAN_OUT_C_AT_MOST = 0.5;
const AUTO_AT_MOST = 1.05;
const LARGE_BYTES = 65_536;
const FAN_OUT_LARGE_BYTES = 262_144;

/**
 * What is allowed to auto here: bytes in memory that never change, prepared for tee where several
 * get them, and a receiver on this machine, for which the kernel copies what it would notify of.
 */
const AUTO_CHOICES = ['copy', 'splice'];
const AUTO_CHOICES_PREPARED = [...AUTO_CHOICES, 'tee'];

export function targetRows(runs: readonly Run[], book: Book, reference: string): Row[] {
  const cells = [...new Set(runs.map(({ cell }) => cell))];
  return [
    ...typescriptRows(cells, book),
    ...spliceRows(cells, book, reference),
    ...fanOutRows(cells, book, reference),
    ...autoRows(cells, book),
  ];
}

/** Empty where nothing was measured. */
function row(name: string, values: readonly number[], atMost?: number): Row[] {
  return values.length === 0 ? [] : [makeRow(name, values, atMost)];
}

/** One value a cell, its median, so that spread shows how far cells differ. */
function mediansOf(cells: readonly Cell[], ratios: (cell: Cell) => readonly number[]): number[] {
  return cells.flatMap((cell) => statisticOf(ratios(cell))?.value ?? []);
}

/** A row for each mechanism, size and placement. */
function typescriptRows(cells: readonly Cell[], book: Book): Row[] {
  const sizes = MESSAGE_BYTES.filter((bytes) => bytes >= LARGE_BYTES);
  const names = Object.keys(COUNTERPARTS) as AgentMechanism[];
  return PINS.flatMap((pin) =>
    names.flatMap((name) =>
      sizes.flatMap((bytes) => {
        const counterpart = COUNTERPARTS[name]!;
        const fitting = cells.filter((cell) => cell.messageBytes === bytes && cell.pin === pin);
        const values = mediansOf(fitting, (cell) => book.ratios(cell, name, counterpart, senderMs));
        const where = `${bytes / 1024} KiB, ${PIN_TITLES[pin]}`;
        const title = `${name} / ${counterpart}: sender CPU, ${where}`;
        return row(title, values, TYPESCRIPT_AT_MOST);
      }),
    ),
  );
}

function spliceRows(cells: readonly Cell[], book: Book, reference: string): Row[] {
  const rows: Row[] = [];
  for (const cell of cells) {
    if (cell.fanOut !== 1 || cell.messageBytes !== SPLICE_MESSAGE_BYTES) continue;
    const where = `64 KiB, ${describePlace(cell)}`;
    const ratios = (name: string, pick: Pick): number[] => book.ratios(cell, name, reference, pick);
    const atMost = cell.pin === 'one' ? SPLICE_AT_MOST[cell.path] : undefined;
    rows.push(
      ...row(`splice / ${reference}: sender sys, ${where}`, ratios('splice', senderSysMs), atMost),
      ...row(`c-splice / ${reference}: sender sys, ${where}`, ratios('c-splice', senderSysMs)),
      ...row(`splice / ${reference}: sender + receiver, ${where}`, ratios('splice', bothMs)),
    );
  }
  return rows;
}

function fanOutRows(cells: readonly Cell[], book: Book, reference: string): Row[] {
  const rows: Row[] = [];
  for (const cell of cells) {
    if (cell.fanOut === 1 || cell.messageBytes < FAN_OUT_LARGE_BYTES) continue;
    const best = book.bestOf(cell, ['file', 'tee'], senderMs);
    if (best === null) continue;
    const where = `x${cell.fanOut}, ${cell.messageBytes / 1024} KiB, ${describePlace(cell)}`;
    const toNode = book.ratios(cell, best, NODE_NET, senderMs);
    const toC = book.ratios(cell, best, reference, senderMs);
    rows.push(
      ...row(`${best} / ${NODE_NET}: sender CPU, ${where}`, toNode, FAN_OUT_NODE_AT_MOST),
      ...row(`${best} / ${reference}: sender CPU, ${where}`, toC, FAN_OUT_C_AT_MOST),
    );
  }
  return rows;
}

/** A row for each place: the worst of its message sizes. */
function autoRows(cells: readonly Cell[], book: Book): Row[] {
  const worst = new Map<string, { readonly row: Row; readonly ratios: number[] }>();
  for (const cell of cells) {
    const choices = cell.fanOut === 1 ? AUTO_CHOICES : AUTO_CHOICES_PREPARED;
    const best = book.bestOf(cell, choices, senderMs);
    const ratio = best === null ? null : statisticOf(book.ratios(cell, AUTO, best, senderMs));
    if (best === null || ratio === null) continue;
    const place = `${describePlace(cell)}, x${cell.fanOut}`;
    const ratios = [...(worst.get(place)?.ratios ?? []), ratio.value];
    const size = `${cell.messageBytes / 1024} KiB`;
    const name = `auto / best: sender CPU, ${place}, worst size (${size}: ${best})`;
    const made = makeRow(name, [ratio.value], AUTO_AT_MOST);
    const before = worst.get(place)?.row ?? made;
    worst.set(place, { row: made.value >= before.value ? made : before, ratios });
  }
  return [...worst.values()].map(({ row: one, ratios }) => {
    return { ...one, spread: statisticOf(ratios)!.spread };
  });
}

const PATH_TITLES = { tcp: 'TCP loopback', unix: 'UNIX', veth: 'TCP over veth' } as const;
const PIN_TITLES = { one: 'one CPU', two: 'two CPUs', none: 'not pinned' } as const;

/** `TCP loopback, one CPU`. */
export function describePlace({ path, pin }: Cell): string {
  return `${PATH_TITLES[path]}, ${PIN_TITLES[pin]}`;
}
