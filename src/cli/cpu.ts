/**
 * `millrace cpu`: the machine, its threads, who else is there, and where workers should go.
 */
import type { Command } from 'commander';
import { MillraceError } from '../toolkit/base/errors.ts';
import {
  applyTunings,
  audit,
  CpuError,
  type CpuSpec,
  cpusOf,
  threads,
  topology,
} from '../toolkit/cpu/index.ts';
import { adviceLines, appliedLines, auditLines, threadLines, topologyLines } from './cpu-text.ts';
import { LineWriter } from './line-writer.ts';
import { parseCount, parsePositive } from './option-values.ts';

interface JsonWords {
  readonly json?: boolean;
}

interface WatchWords extends JsonWords {
  readonly seconds: number;
  readonly pid?: number;
}

const HELP = `
"usable" is what a pin may name: online, and in the cpuset of the process. The affinity is the mask
that its parent left it; a quota stops threads wherever they are. "siblings" are the threads of one
core (SMT). The kernel keeps other tasks off "isolated" CPUs, and the timer tick off "nohz_full"
ones. When to pin at all is told in docs/guides/cpu-binding.md.

Examples:
  $ millrace cpu
  $ millrace cpu --json | jq .usable
  $ millrace cpu threads 4711
  $ millrace cpu audit
  $ millrace cpu advise -c millrace.yaml`;

const THREADS_HELP = `
"waited" is the time that a thread could run and had no CPU, "put aside" how often another task took
its place, "migrations" how often it moved to another CPU: stands still while it is pinned to one.
"-" is what this kernel does not count.

Examples:
  $ millrace cpu threads 4711
  $ millrace cpu threads 4711 --json | jq '.[] | select(.role == "collect")'`;

const AUDIT_HELP = `
A CPU is quiet when other tasks had at most 5 % of it, a hypervisor 1 %, interrupts 5 % and 1,000 a
second. "ours" are the threads of this command, or with --pid those of that process: without it a
running server is somebody else. In a container the other tasks have no names. "stolen" is time that
the hypervisor gave to somebody else, PSI (pressure stall information) the part of the time in which
any task of the machine waited for a CPU.

Examples:
  $ millrace cpu audit
  $ millrace cpu audit --cpus 2-3 --seconds 10
  $ millrace cpu audit --pid 4711 --json`;

const ADVISE_HELP = `
The workers are those of the configuration (without one: the defaults). One reason against is enough
for "do not pin". Nothing is changed without --apply, which writes interrupt and packet steering
masks (as root) and prints the lines that put them back; the server itself pins by cpu.pin.

Examples:
  $ millrace cpu advise
  $ millrace cpu advise -c millrace.yaml --seconds 10
  $ sudo millrace cpu advise -c millrace.yaml --apply | tee applied.txt`;

const parsePid = parseCount(1);

export function registerCpu(program: Command): void {
  const cpu = program
    .command('cpu')
    .summary('CPUs: topology, limits, threads, who else is there, advice')
    .description('Shows the CPUs of this machine and what this process may use of them.')
    .enablePositionalOptions()
    .option('--pid <pid>', 'limits of another process', parsePid)
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    // Else a mistyped command would be "too many arguments".
    .allowExcessArguments()
    .action(showTopology);
  cpu
    .command('threads')
    .summary('threads of a process: CPUs, time, waiting, migrations')
    .description('Lists the threads of a running process.')
    .argument('<pid>', 'process id', parsePid)
    .option('--json', 'print JSON')
    .addHelpText('after', THREADS_HELP)
    .action(showThreads);
  watchOptions(
    cpu
      .command('audit')
      .summary('who uses which CPU now')
      .description('Watches CPUs for a while and says which are ours alone.')
      .option('--cpus <list>', 'these only; as 2, 0-3, core:1, l3:0, node:0, isolated', 'all'),
  )
    .addHelpText('after', AUDIT_HELP)
    .action(showAudit);
  watchOptions(
    cpu
      .command('advise')
      .summary('which worker on which CPU, or why not to pin')
      .description('Watches the CPUs and says where the workers of a server should run.')
      .option('-c, --config <file>', 'YAML file with configuration keys')
      .option('--apply', 'write interrupt and packet steering masks'),
  )
    .addHelpText('after', ADVISE_HELP)
    .action(showAdvice);
}

function watchOptions(command: Command): Command {
  return command
    .option('--seconds <n>', 'how long to watch', parsePositive, 1)
    .option('--pid <pid>', 'whose threads are "ours"', parsePid)
    .option('--json', 'print JSON');
}

async function print(words: JsonWords, data: unknown, lines: () => string[]): Promise<void> {
  const writer = new LineWriter();
  if (words.json === true) writer.add(JSON.stringify(data));
  else for (const line of lines()) writer.add(line);
  await writer.flush();
}

/** Throws MR_USAGE when there is no such process. */
function checkPid(pid: number | undefined): { readonly pid?: number } {
  if (pid === undefined) return {};
  if (threads({ pid }).length > 0) return { pid };
  throw new MillraceError('MR_USAGE', `there is no process ${pid}`, 'see ps -e');
}

async function showTopology(
  words: JsonWords & { readonly pid?: number },
  command: Command,
): Promise<void> {
  const [unknown] = command.args;
  if (unknown !== undefined) {
    const names = command.commands.map((one) => one.name()).join(', ');
    throw new MillraceError('MR_USAGE', `unknown command 'cpu ${unknown}'`, `there are ${names}`);
  }
  const machine = topology(checkPid(words.pid));
  await print(words, machine, () => topologyLines(machine));
}

async function showThreads(pid: number, words: JsonWords): Promise<void> {
  const found = threads(checkPid(pid));
  await print(words, found, () => threadLines(found));
}

async function showAudit(words: WatchWords & { readonly cpus: CpuSpec }): Promise<void> {
  const whose = checkPid(words.pid);
  const cpus = cpusOf(words.cpus, topology(whose));
  const seen = await audit(cpus, { watchMs: 1_000 * words.seconds, ...whose });
  await print(words, seen, () => auditLines(seen));
}

async function showAdvice(
  words: WatchWords & { readonly config?: string; readonly apply?: boolean },
): Promise<void> {
  const { makeConfig, makePlan, readConfigFile } = await import('../server/index.ts');
  const { advisePlan, explicitCpus, isWorkerName } = await import('../server/cpu-plan.ts');
  const input = words.config === undefined ? {} : readConfigFile(words.config);
  const config = makeConfig(input, words.config ?? 'command line');
  const plan = makePlan(config);
  let chosenCpus: readonly number[] = [];
  const problem = problemOf(() => {
    const byName = [...explicitCpus(config, plan)].filter(([name]) => isWorkerName(name));
    chosenCpus = [...new Set(byName.flatMap(([, cpus]) => cpus))];
  });
  const advice = await advisePlan(plan, {
    watchMs: 1_000 * words.seconds,
    alwaysWatch: true,
    ...(chosenCpus.length === 0 ? {} : { chosenCpus }),
    ...checkPid(words.pid),
  });
  const applied = words.apply === true ? applyTunings(advice.tunings) : [];
  const { pin } = config.cpu;
  const head = `cpu.pin is ${typeof pin === 'string' ? pin : JSON.stringify(pin)}`;
  await print(words, { pin, problem, ...advice, applied }, () => [
    head,
    ...(problem === '' ? [] : [`this machine cannot obey that: ${problem}`]),
    ...adviceLines(advice),
    ...(words.apply === true ? appliedLines(applied) : []),
  ]);
  const failed = applied.filter(({ error }) => error !== '');
  if (failed.length > 0) {
    throw new MillraceError(
      'MR_CPU',
      `${failed.length} of ${applied.length} masks were not written`,
      'EACCES, EPERM, EROFS: run it as root, outside of a container;' +
        ' EIO: the driver manages this interrupt',
    );
  }
}

/** What is wrong with an operator's list; '' when nothing is. */
function problemOf(check: () => unknown): string {
  try {
    check();
    return '';
  } catch (error) {
    if (error instanceof CpuError) return error.message;
    throw error;
  }
}
