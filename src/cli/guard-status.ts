/**
 * `millrace guard status`: what works on this machine, and what to change where it does not.
 */
import type { Command } from 'commander';
import { MillraceError } from '../toolkit/base/errors.ts';
import { CODE_TIERS, type GuardStatus, guardStatus, type JsNames } from '../toolkit/guard/index.ts';
import { LineWriter } from './line-writer.ts';

const HELP = `
Each line was tried, on memory of its own. The exit code is 1 where not even pages can be protected.

Examples:
  $ millrace guard status
  $ millrace guard status --json | jq '.features[] | select(.works | not)'`;

export function registerGuardStatus(guard: Command): void {
  guard
    .command('status')
    .summary('what works on this machine')
    .description('Tries what the guard needs of processor, kernel and Node.js.')
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(status);
}

async function status({ json = false }: { readonly json?: boolean }): Promise<void> {
  const found = guardStatus();
  const writer = new LineWriter();
  for (const line of json ? [JSON.stringify(found)] : statusLines(found)) writer.add(line);
  await writer.flush();
  const [protect] = found.features;
  if (protect?.works === true) return;
  throw new MillraceError('MR_GUARD_KERNEL', `no guard here: ${protect?.problem}`, protect?.remedy);
}

const SOURCES: Readonly<Record<JsNames['source'], string>> = {
  v8: 'out of V8’s own structures',
  'perf-map': 'from the perf map: the line is that of the function, not of the write',
  none:
    'not known for this version of Node.js; start the program with --perf-basic-prof' +
    ' --interpreted-frames-native-stack, or by millrace guard run',
};

function namesLine({ source, exact }: JsNames): string {
  const tiers = (isExact: boolean): string =>
    CODE_TIERS.filter((tier) => exact[tier] === isExact).join(', ');
  const proved = tiers(true) === '' ? '' : `; exact: ${tiers(true)}`;
  const rest = source === 'v8' && tiers(false) !== '' ? `; not exact: ${tiers(false)}` : '';
  return `names of JavaScript functions: ${SOURCES[source]}${proved}${rest}`;
}

export function statusLines({ arch, kernel, node, names, features }: GuardStatus): string[] {
  const lines = [`processor ${arch}, Linux ${kernel}, Node.js ${node}`, ''];
  for (const { name, use, works, problem, remedy } of features) {
    lines.push(`${works ? 'works' : 'no   '}  ${name.padEnd(8)}  ${use}`);
    if (!works) lines.push(`         ${problem}`, `         ${remedy}`);
  }
  lines.push('', namesLine(names));
  return lines;
}
