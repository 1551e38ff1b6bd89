/**
 * Plan: configuration and machine -> which workers, which rings, how much memory; pure and
 * printable.
 *
 * WHY         `--print-plan` shows it, the supervisor follows it, a test asserts it: documentation
 *             that cannot rot. No I/O and no clock here.
 * PAGES       A page is held by a connection that fills it, by a collector that packs small blocks,
 *             or by readers that have not passed its slices yet; the sum must fit, with room to
 *             absorb.
 */
import { assert } from '../toolkit/base/assert.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import { BROADCAST_SLOTS, COLLECT_SLOTS, PAGE_BYTES } from '../toolkit/base/limits.ts';
import type { Config } from './config.ts';
import type { CpuPlanText } from './cpu-plan.ts';
import type { ForwardOptions } from './forward/options.ts';
import { type ForwardPlace, forwardOptions } from './forward-plan.ts';
import { forwardLines } from './forward-text.ts';
import type { Role } from './setup.ts';

/** Pages that must remain for blocks in flight when every connection fills one. */
export const IN_FLIGHT_PAGES_MIN = 32;

export interface PlannedWorker {
  readonly role: Role;
  readonly index: number;
  readonly loop: 'blocking' | 'event loop';
  readonly purpose: string;
}

export interface Plan {
  readonly workers: readonly PlannedWorker[];
  readonly pages: {
    readonly total: number;
    readonly filling: number;
    readonly packing: number;
    readonly inFlight: number;
    readonly pageBytes: number;
  };
  readonly rings: readonly { readonly name: string; readonly slots: number }[];
  /** What goes on to other collectors; without channels nothing does, and no worker runs for it. */
  readonly forward: ForwardOptions;
  /** What is write-protected, in words; empty: nothing. */
  readonly guard: string;
  /** What the server will use at most: arena + DuckDB; V8 and code come on top. */
  readonly memoryBytesMax: number;
}

/** The workers that run while there is a destination. */
export const FORWARD_WORKERS: readonly PlannedWorker[] = [
  { role: 'forward', index: 0, loop: 'blocking', purpose: 'sends the journal to other collectors' },
  { role: 'catchup', index: 0, loop: 'blocking', purpose: 'reads what lagging destinations need' },
];

/**
 * Throws MR_CONFIG_KEY and MR_FORWARD_LOOP. `place`: what is known of the machine beyond the
 * configuration.
 */
export function makePlan(config: Config, place?: Partial<ForwardPlace>): Plan {
  const forward = forwardOptions(config, place);
  const workers: PlannedWorker[] = [];
  for (let index = 0; index < config.collect.workers; index++) {
    workers.push({
      role: 'collect',
      index,
      loop: 'blocking',
      purpose: 'receives, frames, cuts blocks',
    });
  }
  if (config.stages !== 'frame') {
    workers.push({ role: 'journal', index: 0, loop: 'blocking', purpose: 'appends, publishes' });
    workers.push({
      role: 'keeper',
      index: 0,
      loop: 'blocking',
      purpose: 'fdatasync, retention of segments',
    });
  }
  const hasReader = config.stages !== 'frame' && config.stages !== 'journal';
  if (config.sink === 'store' && hasReader) {
    workers.push({
      role: 'store',
      index: 0,
      loop: 'event loop',
      purpose: 'decodes, writes Parquet, commits',
    });
  }
  if (forward.channels.length > 0) workers.push(...FORWARD_WORKERS);
  return {
    workers,
    forward,
    pages: planPages(config),
    rings: [
      ...Array.from({ length: config.collect.workers }, (_, index) => ({
        name: `collect ${index} -> journal`,
        slots: COLLECT_SLOTS,
      })),
      { name: 'journal -> readers (broadcast)', slots: BROADCAST_SLOTS },
    ],
    guard: GUARD_TEXT[config.guard.mode],
    memoryBytesMax: config.pages.arenaBytes + config.store.memoryLimitBytes,
  };
}

const GUARD_TEXT: Readonly<Record<Config['guard']['mode'], string>> = {
  off: '',
  report: 'pages that nobody may write are protected; who does is reported, and the server dies',
  continue: 'pages that nobody may write are protected; who does is reported, and may go on',
};

function planPages(config: Config): Plan['pages'] {
  const total = Math.floor(config.pages.arenaBytes / PAGE_BYTES);
  const filling = config.collect.connectionCountMax;
  const packing = config.collect.workers;
  const inFlight = total - filling - packing;
  if (inFlight < IN_FLIGHT_PAGES_MIN) {
    const needed = (filling + packing + IN_FLIGHT_PAGES_MIN) * PAGE_BYTES;
    throw new MillraceError(
      'MR_CONFIG_KEY',
      `pages.arenaBytes: ${config.pages.arenaBytes} holds ${total} pages,` +
        ` too few for ${filling} connections`,
      `set pages.arenaBytes to at least ${needed}, or lower collect.connectionCountMax`,
    );
  }
  assert(filling + packing + inFlight === total, 'every page has a holder in the plan');
  return { total, filling, packing, inFlight, pageBytes: PAGE_BYTES };
}

/**
 * The plan as lines for people; `cpuCount` is what the process may use. Without `cpus` nothing is
 * said of pinning.
 */
export function formatPlan(plan: Plan, cpuCount: number, cpus?: CpuPlanText): string {
  const mib = (bytes: number): string => `${(bytes / 1048576).toFixed(0)} MiB`;
  const head = cpus === undefined ? '' : `; ${cpus.head}`;
  const many = cpuCount === 1 ? '1 CPU' : `${cpuCount} CPUs`;
  const lines = [`workers (${plan.workers.length}, on ${many}${head}):`];
  const isPinned = cpus !== undefined && cpus.cpus.size > 0;
  const places = plan.workers.map(({ role, index }) => {
    const list = cpus?.cpus.get(`${role}-${index}`) ?? '';
    return list === '' ? 'any CPU' : `CPU ${list}`;
  });
  const width = Math.max(...places.map(({ length }) => length));
  for (const [n, { role, index, loop, purpose }] of plan.workers.entries()) {
    const name = `${role} ${index}`.padEnd(12);
    const place = isPinned ? `${places[n]!.padEnd(width)}  ` : '';
    lines.push(`  ${name} ${loop.padEnd(11)} ${place}${purpose}`);
  }
  if (cpus !== undefined) lines.push(...cpus.lines);
  lines.push('rings:');
  for (const ring of plan.rings) lines.push(`  ${ring.name.padEnd(34)} ${ring.slots} slots`);
  const { total, filling, packing, inFlight, pageBytes } = plan.pages;
  lines.push(
    `pages: ${total} of ${pageBytes / 1024} KiB = ${mib(total * pageBytes)}`,
    `  ${String(filling).padStart(6)} filling, one per connection`,
    `  ${String(packing).padStart(6)} packing, one per collector`,
    `  ${String(inFlight).padStart(6)} in flight between collector, journal and readers`,
    ...forwardLines(plan.forward),
    ...(plan.guard === '' ? [] : [`guard: ${plan.guard}`]),
    `memory at most: ${mib(plan.memoryBytesMax)} (arena and DuckDB), code and V8 on top`,
  );
  return lines.join('\n');
}
