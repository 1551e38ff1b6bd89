/**
 * `millrace nettest`: measuring network output; one file a subcommand.
 */
import type { Command } from 'commander';
import { registerNettestBench } from './nettest-bench.ts';
import { registerNettestProbe } from './nettest-probe.ts';
import { registerNettestRecv } from './nettest-recv.ts';
import { registerNettestXmit } from './nettest-xmit.ts';

const HELP = `
xmit and recv speak the wire format of the nettest programs of J. Axboe's splice tests (2010), take
their options, attached or separate, and print their lines.

Examples:
  $ millrace nettest recv -s65536 -r 5500                      on one terminal
  $ millrace nettest xmit -s65536 -p1000000 5500               on another
  $ millrace nettest xmit -s65536 -p1000000 -n 5500            the same by send()
  $ millrace nettest bench --quick                             every mechanism on this machine`;

export function registerNettest(program: Command): void {
  const nettest = program
    .command('nettest')
    .summary('measure network output: send, receive, compare')
    .description('Sends and checks test messages by every output mechanism.')
    .addHelpText('after', HELP);
  registerNettestXmit(nettest);
  registerNettestRecv(nettest);
  registerNettestBench(nettest);
  registerNettestProbe(nettest);
}
