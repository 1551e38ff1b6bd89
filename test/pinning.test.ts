/**
 * Pinning of a running server, as the kernel sees it: /proc/PID/task/TID/status.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ConfigInput, makeConfig, startServer } from '../src/server/index.ts';
import { formatCpuList, topology } from '../src/toolkit/cpu/index.ts';
import { addonSkipReason, schedGetAffinity } from '../src/toolkit/sys/index.ts';
import { readTask } from '../src/toolkit/sys/tasks.test-data.ts';
import { ExporterSocket } from './support/exporter-socket.ts';
import { temporaryFolder } from './support/journal-files.ts';
import { runCli } from './support/run-cli.ts';
import { ServerProcess, sleepMs } from './support/server-process.ts';
import { makeMarkedStream } from './support/stored-records.ts';

const skip = addonSkipReason() ?? false;
/** What this process was left, and its children are; its group may allow more. */
const usable = topology().limits.affinity;
const first = `${usable[0]!}`;
const last = `${usable.at(-1)!}`;
const all = formatCpuList(usable);

/** Allowed CPUs of each thread, by the name that the server gave it; others by their id. */
function masksOf(pid: number): Map<string, string> {
  const found = new Map<string, string>();
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    const status = readTask(`/proc/${pid}/task/${tid}/status`);
    if (status === null) continue;
    const name = /^Name:\t(.*)$/m.exec(status)![1]!;
    const list = /^Cpus_allowed_list:\t(.*)$/m.exec(status)![1]!;
    const isWorker = /^(?:collect|journal|keeper|store)$/.test(name);
    found.set(isWorker ? name : Number(tid) === pid ? 'main' : `helper ${tid}`, list);
  }
  return found;
}

async function serve(
  t: { after(fn: () => void | Promise<void>): void },
  pin: NonNullable<ConfigInput['cpu']>['pin'],
): Promise<ServerProcess> {
  const server = await ServerProcess.start(join(temporaryFolder(t), 'data'), { cpu: { pin } });
  t.after(() => server.kill());
  return server;
}

test('an explicit list is in force, in the status and in the metrics', { skip }, async (t) => {
  const pin = { collect: last, journal: Number(last), main: first, helpers: first };
  const server = await serve(t, pin);
  const masks = masksOf(server.pid);
  assert.equal(masks.get('collect'), last);
  assert.equal(masks.get('journal'), last);
  assert.equal(masks.get('main'), first);
  assert.equal(masks.get('keeper'), all, 'not named: it keeps what it has');
  assert.equal(masks.get('store'), all);
  const helpers = [...masks].filter(([name]) => name.startsWith('helper'));
  assert.ok(helpers.length >= 4);
  for (const [name, list] of helpers) assert.equal(list, first, name);
  const { pinning } = await server.status();
  assert.equal(pinning.mode, 'explicit');
  assert.equal(pinning.state, 'pinned');
  assert.deepEqual(
    pinning.threads.map(({ name, cpus }) => [name, cpus]),
    [
      ['collect-0', last],
      ['journal-0', last],
      ['keeper-0', ''],
      ['store-0', ''],
      ['main', first],
      ['helpers', first],
    ],
  );
  assert.equal(pinning.pins, 3);
  assert.ok(pinning.helperMasks >= helpers.length || usable.length === 1);
  const metrics = await (await fetch(`${server.http}/metrics`)).text();
  assert.match(metrics, /^millrace_cpu_pinned_threads 3$/m);
  assert.match(metrics, /^millrace_cpu_pinning_state\{mode="explicit",state="pinned"\} 1$/m);
  const status = await runCli(['status', '--http', server.http.slice('http://'.length)]);
  assert.match(status.stdout.toString(), new RegExp(`cpu.pin explicit, pinned: collect-0 ${last}`));
  assert.match(server.stderr, new RegExp(`"thread":"collect-0","cpus":"${last}","msg":"pinned"`));
  assert.equal(await server.drain(), 0);
});

test('off pins nothing', { skip }, async (t) => {
  const server = await serve(t, 'off');
  for (const [name, list] of masksOf(server.pid)) assert.equal(list, all, name);
  assert.equal((await server.status()).pinning.state, 'off');
});

test('an entry that cannot be obeyed stops the start and says what there is', {
  skip,
}, async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'millrace.yaml');
  const head = `data: ${join(folder, 'data')}\nlisten: ['127.0.0.1:0']\nhttp: null\n`;
  const cases: [string, number, RegExp][] = [
    ['{ journal: 8191 }', 1, /MR_CPU: cpu.pin.journal: there is no CPU 8191\n.*may use/],
    ['{ collect-3: 0 }', 1, /MR_CPU: cpu.pin.collect-3: .*no such worker\n.*collect-0, journal-0/],
    ['{ main: sideways }', 1, /MR_CPU: cpu.pin.main: "sideways" is no way/],
    ['{ colect: 0 }', 2, /MR_CONFIG_KEY: .*cpu\.pin\.colect: no such name; names: coll/],
    ['always', 2, /MR_CONFIG_KEY: .*cpu\.pin: expected auto/],
  ];
  for (const [pin, code, message] of cases) {
    writeFileSync(path, `${head}cpu: { pin: ${pin} }\n`);
    for (const more of [[], ['--check']]) {
      const result = await runCli(['serve', '-c', path, ...more]);
      assert.equal(result.code, code, pin);
      assert.match(result.stderr, message);
    }
  }
});

test('a worker that starts again is pinned again; at the end masks are back', {
  skip,
}, async (t) => {
  const before = schedGetAffinity();
  const config = makeConfig({
    data: join(temporaryFolder(t), 'data'),
    listen: ['127.0.0.1:0'],
    http: null,
    log: { level: 'fatal' },
    store: { flushMs: 200, flushRows: 2_000 },
    cpu: { pin: { store: last, main: first, helpers: first } },
  });
  const server = await startServer(config, [{ step: 'block-decoded', time: 1 }]);
  try {
    const { bytes } = makeMarkedStream(11, 7, 200_000);
    const socket = new ExporterSocket(Number(server.ports.listen[0]!.split(':').at(-1)), 262_144);
    await socket.sendUpTo(bytes, bytes.length);
    socket.close();
    for (let i = 0; server.snapshot().pinning.pins < 3; i++) {
      assert.ok(i < 600, JSON.stringify(server.snapshot().pinning));
      await sleepMs(50);
    }
    assert.equal(server.snapshot().workerDeaths, 1);
    assert.equal(masksOf(process.pid).get('store'), last);
    assert.equal(masksOf(process.pid).get('journal'), all);
    assert.deepEqual(schedGetAffinity(), [Number(first)]);
  } finally {
    await server.drain();
    await server.closed;
  }
  assert.deepEqual(schedGetAffinity(), before);
  for (const [name, list] of masksOf(process.pid)) assert.equal(list, all, name);
});

/** Programs that want all of every CPU. */
function neighbours(t: { after(fn: () => void): void }): ChildProcess[] {
  const children = usable.map(() => spawn(process.execPath, ['-e', 'for (;;) {}']));
  t.after(() => {
    for (const child of children) child.kill('SIGKILL');
  });
  return children;
}

test('auto does not pin beside busy neighbours, and says why', { skip }, async (t) => {
  neighbours(t);
  const server = await serve(t, 'auto');
  const { pinning } = await server.until((status) => status.pinning.state !== 'watching');
  assert.equal(pinning.state, 'notPinned');
  assert.ok(pinning.reasons.length > 0);
  assert.match(pinning.reasons.join('\n'), /other tasks used|machine is full|wants? a core/);
  assert.equal(pinning.fallbacks.shared, 1);
  for (const [name, list] of masksOf(server.pid)) assert.equal(list, all, name);
  assert.match(server.stderr, /workers are not pinned/);
});

test('print-plan shows the CPU of each worker, or why none', { skip }, async (t) => {
  const path = join(temporaryFolder(t), 'millrace.yaml');
  const planOf = async (pin: string): Promise<string> => {
    writeFileSync(path, `cpu: { pin: ${pin} }\n`);
    const { code, stdout, stderr } = await runCli(['serve', '-c', path, '--print-plan']);
    assert.equal(code, 0, stderr);
    return stdout.toString();
  };
  const explicit = await planOf(`{ journal: ${last}, helpers: ${first} }`);
  assert.match(explicit, /pinned by cpu\.pin\):/);
  assert.match(explicit, new RegExp(`^  journal 0 .*CPU ${last} `, 'm'));
  assert.match(explicit, /^ {2}store 0 .* any CPU /m);
  assert.match(explicit, new RegExp(`^  helpers +CPU ${first}$`, 'm'));
  assert.match(await planOf('off'), /not pinned: cpu\.pin is off\):/);
  assert.match(await planOf('auto'), /cpu\.pin is auto\):\n|these CPUs are quiet now/);
});
