/**
 * `millrace guard demo`: memory is corrupted in six ways, each in a process of its own, and each
 * report names who did it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { MillraceError } from '../toolkit/base/errors.ts';
import { culpritOf, guardStatus, parseReports } from '../toolkit/guard/index.ts';
import { LineWriter } from './line-writer.ts';

interface Way {
  readonly file: string;
  readonly title: string;
  /** One sentence: what to see in the report. */
  readonly see: string;
  /** The function to blame. */
  readonly culprit: string;
}

const WAYS: readonly Way[] = [
  {
    file: './guard-demo/own-worker.js',
    title: 'a worker writes into a table that it has published itself',
    see: 'The thread is the owner’s own; the line is that of correctPrice, with old and new bytes.',
    culprit: 'correctPrice',
  },
  {
    file: './guard-demo/other-worker.js',
    title: 'a worker writes in front of its part of shared memory, into that of another',
    see: 'The memory is the main thread’s, the thread that wrote is "statistics".',
    culprit: 'addToTotal',
  },
  {
    file: './guard-demo/addon.js',
    title: 'a native addon writes into a Buffer that it gave back',
    see: 'The culprit is a C function; below it stands the JavaScript that called the addon.',
    culprit: 'scribble_over',
  },
  {
    file: './guard-demo/overrun.js',
    title: 'native code writes one byte more than the buffer has',
    see: 'The first byte behind the end is on a page without access: the overrun has no victim.',
    culprit: 'scribble_over',
  },
  {
    file: './guard-demo/use-after-free.js',
    title: 'memory is written after it was given back',
    see: 'Freed memory stays without access for a while; the report says when it was freed.',
    culprit: 'stampTime',
  },
  {
    file: './guard-demo/webassembly.js',
    title: 'WebAssembly writes where nobody may, and the program catches it',
    see: 'The write did not happen; JavaScript got a RuntimeError, and went on.',
    culprit: 'WebAssembly',
  },
];

const TIMEOUT_MS = 60_000;

const HELP = `
The programs are src/cli/guard-demo/*.ts, some 30 lines each. Nothing outside of their processes is
touched.

Examples:
  $ millrace guard demo
  $ millrace guard demo 4`;

export function registerGuardDemo(guard: Command): void {
  guard
    .command('demo')
    .summary('six ways to corrupt memory, and their reports')
    .description('Corrupts memory in six ways, each in a process of its own; shows the reports.')
    .argument('[number]', 'one of them only, 1 to 6')
    .addHelpText('after', HELP)
    .action(demo);
}

async function demo(number: string | undefined): Promise<void> {
  const ways = [...WAYS.entries()].filter(([at]) => number === undefined || `${at + 1}` === number);
  if (ways.length === 0) {
    throw new MillraceError('MR_USAGE', `there is no way ${number}`, 'give 1 to 6');
  }
  // Where it cannot work at all, its own words say why.
  guardStatus();
  const writer = new LineWriter();
  const missed: string[] = [];
  for (const [at, way] of ways) {
    writer.add(`── ${at + 1} of ${WAYS.length}: ${way.title} ${'─'.repeat(8)}`);
    writer.add(way.see);
    writer.add('');
    const { text, found } = play(way);
    writer.add(text.trimEnd());
    writer.add('');
    if (found !== way.culprit) missed.push(`${at + 1}: ${found}, not ${way.culprit}`);
  }
  writer.add(`${ways.length - missed.length} of ${ways.length} reports name the culprit`);
  await writer.flush();
  if (missed.length > 0) {
    throw new MillraceError(
      'MR_GUARD_KERNEL',
      `another function was named in ${missed.join('; ')}`,
      'millrace guard status says what works on this machine',
    );
  }
}

interface Played {
  readonly text: string;
  /** The function that its first report blames; '' where there is none. */
  readonly found: string;
}

function play({ file }: Way): Played {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-guard-demo-'));
  try {
    const reportFile = join(folder, 'reports');
    const program = fileURLToPath(new URL(file, import.meta.url));
    // It is to die, and a core file of it would be of no use.
    const shell = ['-c', 'ulimit -c 0; exec "$@"', 'sh', process.execPath, program];
    const { stderr } = spawnSync('sh', shell, {
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
      env: { ...process.env, MILLRACE_GUARD_REPORT: reportFile },
    });
    const [report] = parseReports(readFileSync(reportFile, 'utf8'));
    const culprit = report === undefined ? null : culpritOf(report);
    return { text: stderr, found: culprit?.function ?? '' };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
