/**
 * `millrace cpu` on this machine: every form answers, as a table and as JSON, with its exit code.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Audit, cpusOf, topology } from '../src/toolkit/cpu/index.ts';
import { temporaryFolder } from './support/journal-files.ts';
import { runCli } from './support/run-cli.ts';

async function textOf(...parameters: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(['cpu', ...parameters]);
  assert.equal(code, 0, stderr);
  return stdout.toString();
}

const jsonOf = async (...parameters: string[]): Promise<unknown> =>
  JSON.parse(await textOf(...parameters, '--json')) as unknown;

test('cpu shows the machine, and what another process may use', async () => {
  assert.match(await textOf(), /CPUs? online.*\n[\s\S]*^usable +\d/m);
  const found = (await jsonOf()) as ReturnType<typeof topology>;
  assert.deepEqual(found.usable, topology().usable);
  const own = (await jsonOf('--pid', `${process.pid}`)) as ReturnType<typeof topology>;
  assert.deepEqual(own.limits.affinity, topology().limits.affinity);
});

test('cpu threads lists the threads of a process', async () => {
  assert.match(await textOf('threads', `${process.pid}`), /^thread +name +role +CPUs/m);
  const found = (await jsonOf('threads', `${process.pid}`)) as { threadId: number }[];
  assert.ok(found.some(({ threadId }) => threadId === process.pid));
  assert.ok(found.length > 1);
});

test('cpu audit sees a program that burns a CPU', async (t) => {
  const child = spawn(process.execPath, ['-e', `require('fs').writeSync(1, '.'); for (;;) {}`]);
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const seen = (await jsonOf('audit', '--seconds', '0.5')) as Audit;
  assert.deepEqual(
    seen.cpus.map(({ cpuIndex }) => cpuIndex),
    cpusOf('all', topology()),
  );
  assert.ok(seen.cpus.some(({ isExclusive }) => !isExclusive));
  const whose = ['--pid', `${child.pid}`, '--seconds', '0.5'];
  // However many others want the CPU: its turn comes.
  for (let [ownSum, tries] = [0, 0]; ownSum === 0; tries++) {
    assert.ok(tries < 20, 'a program that burns a CPU is seen');
    const own = (await jsonOf('audit', ...whose)) as Audit;
    ownSum = own.cpus.reduce((sum, { ownFraction }) => sum + ownFraction, 0);
  }
  assert.match(await textOf('audit', '--seconds', '0.2', '--cpus', 'last'), /^verdict: /m);
});

test('cpu advise says yes or no, and what is wrong with a list', async (t) => {
  const path = join(temporaryFolder(t), 'millrace.yaml');
  writeFileSync(path, 'cpu: { pin: { journal: 8191 } }\n');
  const text = await textOf('advise', '-c', path, '--seconds', '0.2');
  assert.match(text, /^cpu\.pin is \{"journal":8191\}$/m);
  assert.match(text, /cannot obey that: cpu\.pin\.journal: there is no CPU 8191/);
  assert.match(text, /^advice: (?:do not )?pin$/m);
  const found = (await jsonOf('advise', '--seconds', '0.2')) as { applied: unknown[] };
  assert.deepEqual(found.applied, [], 'nothing is applied unasked');
});

test('what keeps the CPUs of a list quieter is said for those CPUs', async (t) => {
  const cpus = topology().usable;
  if (cpus.length < 2) return t.skip('needs two CPUs');
  const path = join(temporaryFolder(t), 'millrace.yaml');
  const chosen = cpus.at(-1)!;
  writeFileSync(path, `cpu: { pin: { journal: ${chosen}, main: ${cpus[0]} } }\n`);
  const text = await textOf('advise', '-c', path, '--seconds', '0.2');
  assert.match(text, new RegExp(`^ .*IRQBALANCE_BANNED_CPULIST=${chosen}$`, 'm'));
  writeFileSync(path, `cpu: { pin: { journal: '${cpus.join(',')}' } }\n`);
  const all = await textOf('advise', '-c', path, '--seconds', '0.2');
  assert.doesNotMatch(all, /IRQBALANCE/, 'no CPU is left to send interrupts to');
});

test('wrong use ends with 2, a CPU that is not there with 1', async () => {
  const cases: [string[], number, RegExp][] = [
    [['threads'], 2, /MR_USAGE: missing required argument 'pid'/],
    [['threads', '4194304'], 2, /MR_USAGE: there is no process 4194304/],
    [['audit', '--seconds', '0'], 2, /MR_USAGE.*above 0/],
    [['audit', '--cpus', '8191'], 1, /MR_CPU: there is no CPU 8191/],
    [['advise', '-c', '/nonexistent.yaml'], 2, /MR_CONFIG_FILE/],
    [['sideways'], 2, /MR_USAGE: unknown command 'cpu sideways'/],
  ];
  for (const [parameters, code, message] of cases) {
    const result = await runCli(['cpu', ...parameters]);
    assert.equal(result.code, code, `${parameters.join(' ')}: ${result.stderr}`);
    assert.match(result.stderr, message);
  }
});
