/**
 * `millrace nettest probe`: what this kernel does for output, and what would be chosen, and why.
 */
import type { Command } from 'commander';
import {
  CHOICE_HEAD,
  choiceRows,
  PROBE_HEAD,
  type ProbeReport,
  probeReport,
  probeRows,
  REASON_HEAD,
  reasonRows,
  routeTo,
  whyLines,
} from '../nettest/probe-text.ts';
import { probeKernel } from '../toolkit/output/index.ts';
import { LineWriter } from './line-writer.ts';
import { table } from './text-table.ts';

interface ProbeWords {
  readonly why?: boolean;
  readonly json?: boolean;
}

const HELP = `
Everything is tried on sockets and pipes of its own, in this process, as this user: versions say
little, containers and sysctls a lot. With HOST it tells by which device the kernel routes there and
what that means; nothing is sent to it. "local" are all peers whose receive queue may hold our very
pages: this machine, its containers, and all that cannot be shown to be behind a network card.

pages are written again once they are free, a payload never changes; with the statement "peer
receives by recv()" the caller vouches that the peer does not splice or map what it gets.

Examples:
  $ millrace nettest probe
  $ millrace nettest probe --why 192.0.2.7
  $ millrace nettest probe --json | jq .probe.msgZerocopy`;

export function registerNettestProbe(nettest: Command): void {
  nettest
    .command('probe')
    .summary('what this kernel offers, and what auto chooses')
    .description('Tries what the kernel does for output, and shows what auto would choose.')
    .argument('[host]', 'only choices for the way to this host')
    .option('--why', 'every candidate with its verdict')
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .action(probe);
}

async function probe(host: string | undefined, { why, json }: ProbeWords): Promise<void> {
  const route = host === undefined ? null : await routeTo(host);
  const report = probeReport(probeKernel(), route);
  const writer = new LineWriter();
  if (json === true) writer.add(JSON.stringify(report));
  else for (const line of reportLines(report, host, why === true)) writer.add(line);
  await writer.flush();
}

function reportLines(
  { probe: found, route, choices }: ProbeReport,
  host: string | undefined,
  isWhy: boolean,
): string[] {
  const lines = [`Linux ${found.kernel}`, '', ...table(PROBE_HEAD, probeRows(found)), ''];
  if (route !== null) lines.push(`${host} is ${route.place}: ${route.reason}`, '');
  const [head = '', ...rows] = table(CHOICE_HEAD, choiceRows(choices), [5]);
  lines.push(head, ...rows.flatMap((row, index) => [row, ...whyLines(choices[index]!)]));
  if (!isWhy)
    return [...lines, '', 'Every candidate with its verdict: millrace nettest probe --why'];
  for (const one of choices) {
    const { socket, payload, statement } = one;
    const title = `${socket.kind}, ${socket.place} peer, ${payload}`;
    lines.push('', statement === '' ? `${title}:` : `${title}, ${statement}:`);
    lines.push(...table(REASON_HEAD, reasonRows(one)).map((line) => `  ${line}`));
  }
  return lines;
}
