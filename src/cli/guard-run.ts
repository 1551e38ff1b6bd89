/**
 * `millrace guard run`: guards the shared memory of a program from outside, and says at its end who
 * wrote there.
 *
 * The program runs in a node of its own with millrace/guard/register in front of it; terminal,
 * signals and exit code are the program's.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { EXIT_FAILED, MillraceError } from '../toolkit/base/errors.ts';
import {
  exactStackFlags,
  type GuardReport,
  guardStatus,
  nameByPerfMap,
  PERF_MAP_FLAGS,
  parseReports,
  readPerfMap,
} from '../toolkit/guard/index.ts';
import { checkNames } from '../toolkit/guard/js-names.ts';
import { guardNative } from '../toolkit/guard/native.ts';
import type { OutsideVariable } from '../toolkit/guard/outside-options.ts';
import { programSummary, summaryLines } from '../toolkit/guard/outside-summary.ts';
import { checkReportFile } from '../toolkit/guard/report-file.ts';
import { collect, parseCount } from './option-values.ts';

interface RunWords {
  readonly label?: string;
  readonly minBytes: number;
  readonly mode: string;
  readonly allow?: readonly string[];
  readonly only?: string;
  readonly report?: string;
  readonly every?: boolean;
  readonly exact?: boolean;
  readonly syscalls?: boolean;
}

const HELP = `
Guarded are the SharedArrayBuffers and shared WebAssembly.Memories that the program makes, in all of
its threads. A program may write into its own memory: so the default is to go on, and to report each
place (function, file, line) at its first write; the counts come at the end. What is legitimate is
named by --allow; what is left, by --mode report, ends the program at its first write.

Each write costs some 20 to 40 microseconds. Where the program lets the kernel write into shared
memory (fs.read and the like), add --syscalls: without it such a call fails by EFAULT.

<program> is what node would run; "node" in front of it may have options of its own. The exit code
is the program's; 128 and the signal's number where it died by one: 139 by --mode report.

Examples:
  $ millrace guard run -- app.js --port 80
  $ millrace guard run --min-bytes 1_000_000 --only pool.js -- app.js
  $ millrace guard run --allow fillPage --allow pool.js --mode report -- app.js
  $ millrace guard run --report writes.jsonl -- node --enable-source-maps app.js`;

/** What the program needs so that its reports name functions, and with `exact` only right lines. */
function nameFlags(exact: boolean): readonly string[] {
  if (!checkNames(guardNative())) return PERF_MAP_FLAGS;
  return exact ? exactStackFlags(guardStatus().names) : [];
}

const REGISTER = new URL('../toolkit/guard/register.js', import.meta.url).href;

export function registerGuardRun(guard: Command): void {
  guard
    .command('run')
    .summary('who writes into the shared memory of a program')
    .description('Runs a Node.js program and reports who writes into its shared memory.')
    .argument('<program>', 'its file')
    .argument('[parameters...]', 'its parameters')
    .passThroughOptions()
    .option('--label <text>', 'what reports call the memory, in front of its size and place')
    .option('--min-bytes <n>', 'smallest buffer that is guarded', parseCount(1), 65_536)
    .option('--only <text>', 'guard only what was made at a place with this in its path:line')
    .addOption(
      new Option('--mode <mode>', 'what happens to a write')
        .choices(['report', 'continue', 'divert', 'throw'])
        .default('continue'),
    )
    .option('--allow <text>', 'who may write: part of a function or file; repeatable', collect)
    .option('--every', 'report every write, not the first of each place')
    .option('--syscalls', 'writes by the kernel too (userfaultfd)')
    .option('--exact', 'no code whose lines are not exact: slower, if little, where there is any')
    .option('--report <file>', 'append reports to this file, a line of JSON each')
    .addHelpText('after', HELP)
    .action(run);
}

async function run(program: string, parameters: readonly string[], words: RunWords): Promise<void> {
  if (words.report !== undefined) checkReportFile(resolve(words.report), '--report');
  const folder = mkdtempSync(join(tmpdir(), 'millrace-guard-'));
  try {
    const summaryFile = join(folder, 'summary.json');
    const reportFile = words.report === undefined ? join(folder, 'reports') : resolve(words.report);
    const before = words.report === undefined ? 0 : readText(reportFile).length;
    const env = environmentOf(words, reportFile, summaryFile);
    const code = await runChild(nodeParameters(program, parameters, words), env);
    const reports = namedReports(reportFile, before);
    const summary = programSummary(readText(summaryFile), reports);
    process.stderr.write(`${summaryLines(summary).join('\n')}\n`);
    if (words.report !== undefined) {
      process.stderr.write(`  ${reports.length} reports in ${words.report}\n`);
    }
    process.exitCode = code;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The reports of this run; those without names get them now, in the file as well. */
function namedReports(file: string, before: number): GuardReport[] {
  const text = readText(file);
  const reports = parseReports(text.slice(before));
  const pids = new Set(reports.filter(({ names }) => names === 'none').map(({ pid }) => pid));
  const maps = new Map([...pids].map((pid) => [pid, readPerfMap(pid)]));
  if (![...maps.values()].some((map) => map !== '')) return reports;
  const named = reports.map((report) => nameByPerfMap(report, maps.get(report.pid) ?? ''));
  const lines = named.map((report) => `${JSON.stringify(report)}\n`);
  writeFileSync(file, text.slice(0, before) + lines.join(''));
  return named;
}

function nodeParameters(
  program: string,
  parameters: readonly string[],
  { exact = false }: RunWords,
): string[] {
  const flags = [...nameFlags(exact), '--import', REGISTER];
  return program === 'node' ? [...flags, ...parameters] : [...flags, program, ...parameters];
}

function environmentOf(
  words: RunWords,
  reportFile: string,
  summaryFile: string,
): Readonly<Record<string, string>> {
  const own: Readonly<Record<OutsideVariable, string>> = {
    MILLRACE_GUARD_MIN_BYTES: String(words.minBytes),
    MILLRACE_GUARD_LABEL: words.label ?? '',
    MILLRACE_GUARD_MODE: words.mode,
    MILLRACE_GUARD_ALLOW: (words.allow ?? []).join('|'),
    MILLRACE_GUARD_ONLY: words.only ?? '',
    MILLRACE_GUARD_ALL: words.every === true ? '1' : '',
    MILLRACE_GUARD_SYSCALLS: words.syscalls === true ? '1' : '',
    MILLRACE_GUARD_SUMMARY: summaryFile,
    MILLRACE_GUARD_REPORT: reportFile,
  };
  return own;
}

const PASSED_ON: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'];

/** Its exit code, as a shell would say it. */
async function runChild(
  parameters: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<number> {
  const child = spawn(process.execPath, parameters, {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  const release = passSignals(child);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (error) => {
        reject(new MillraceError('MR_INPUT', `node cannot be started: ${error.message}`));
      });
      child.once('exit', (code, signal) => {
        resolve(code ?? 128 + (signal === null ? EXIT_FAILED : constants.signals[signal]));
      });
    });
  } finally {
    release();
  }
}

/** Ctrl-C on a terminal goes to the program by itself. */
function passSignals(child: ChildProcess): () => void {
  const handlers = PASSED_ON.map((signal) => {
    const pass = (): void => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    };
    process.on(signal, pass);
    return () => process.off(signal, pass);
  });
  return () => {
    for (const off of handlers) off();
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
