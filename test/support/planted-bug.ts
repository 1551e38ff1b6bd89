/**
 * A program with a bug in it, guarded: `server` writes into a page whose slice the store still
 * reads, `output` into one that the kernel still sends. Says as JSON where it will write, then
 * does.
 *
 * The server has no door for this: the pool's handle is taken from what its supervisor gives to a
 * worker, by a Worker of our own.
 */
import { once } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import workerThreads from 'node:worker_threads';
import type { ServerGuardMode } from '../../src/server/guard-status.ts';
import type { WorkerSetup } from '../../src/server/setup.ts';
import type { PagePool } from '../../src/toolkit/pages/index.ts';
import type { PrematureWriterData } from './premature-writer.ts';

/** Behind the first OS page of a slice, which the journal opens for its header. */
const OFFSET = 5_000;
const RECORDS = 20_000;
const STORE_PAUSE_MS = 3_000;

const { Worker } = workerThreads;

/** Before the server is loaded. Resolves with the first setup that a worker gets. */
function spyOnSetups(): Promise<WorkerSetup> {
  return new Promise((resolve) => {
    workerThreads.Worker = class extends Worker {
      constructor(...parameters: ConstructorParameters<typeof Worker>) {
        super(...parameters);
        resolve(parameters[1]!.workerData as WorkerSetup);
      }
    };
    syncBuiltinESMExports();
  });
}

/** A page that nobody fills any more and that is not free: in use by readers. */
async function pageInUse(pool: PagePool): Promise<number> {
  for (;;) {
    for (let page = 0; page < pool.pageCount; page++) {
      const isInUse = pool.isCurrent(page, pool.generation(page)) && !pool.isFilling(page);
      if (isInUse) return page;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function say(what: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

async function plant(data: PrematureWriterData): Promise<void> {
  const worker = new Worker(new URL('./premature-writer.js', import.meta.url), {
    workerData: data,
    name: 'premature',
  });
  const [read] = (await once(worker, 'message')) as [number];
  say({ read });
}

async function runServer(dataFolder: string, mode: ServerGuardMode): Promise<void> {
  const setup = spyOnSetups();
  const { makeConfig, startServer } = await import('../../src/server/index.ts');
  const { namedMix, SubscriberPool, sendStreams } = await import('../../src/simulator/index.ts');
  const { PagePool } = await import('../../src/toolkit/pages/index.ts');
  const server = await startServer(
    makeConfig({ listen: ['127.0.0.1:0'], http: null, data: dataFolder, guard: { mode } }),
    [{ step: 'block-decoded', time: 1, pauseMs: STORE_PAUSE_MS }],
  );
  const pool = new PagePool((await setup).shared.pool);
  const sent = sendStreams({
    host: '127.0.0.1',
    port: Number(server.ports.listen[0]!.split(':').at(-1)),
    records: RECORDS,
    stream: { seed: 1, mix: namedMix('all'), subscribers: new SubscriberPool(1000) },
  });
  const page = await pageInUse(pool);
  const at = page * pool.pageBytes + OFFSET;
  say({ page, at, generation: pool.generation(page) });
  await plant({ handle: pool.handle, at, times: 3 });
  const { records } = await sent;
  const { intake, guard } = await server.drain();
  say({ records, difference: intake.difference, guard });
}

async function runOutput(reportFile: string, mode: Exclude<ServerGuardMode, 'off'>): Promise<void> {
  const { ArenaGuard, PoolGuard } = await import('../../src/server/arena-guard.ts');
  const { PagePool } = await import('../../src/toolkit/pages/index.ts');
  const { offersOn } = await import('./output-offers.ts');
  const { connectPath, FdReader } = await import('./output-rig.ts');
  const { openSession } = await import('./output-session.ts');
  const pool = PagePool.create({ pageBytes: 16_384, pageCount: 8, prefault: true });
  const arenaGuard = new ArenaGuard(pool, mode, reportFile);
  pool.guardWith(new PoolGuard(arenaGuard.handle, pool.pageBytes));
  const { writer, reader } = connectPath('unix');
  const offer = offersOn('unix').find(({ name, source }) => {
    return source === 'page' && name.startsWith('splice');
  })!;
  const shape = { connection: 1, messageBytes: 10_000, start: 0 };
  const { session } = openSession(offer, writer, new FdReader(reader), { shape, bytes: 0, pool });
  // Each page is filled, lent and sent; nobody reads, so that it stays in flight.
  session.pump(4 * shape.messageBytes);
  const inFlight = pool.stats().inFlight;
  say({ page: 0, at: 9_999, generation: pool.generation(0), inFlight });
  await plant({ handle: pool.handle, at: 9_999, times: 1 });
  say({ faults: arenaGuard.faults });
  process.exit(0);
}

const [what, mode, path] = process.argv.slice(2) as ['server' | 'output', 'report', string];
if (what === 'server') await runServer(path, mode);
else await runOutput(path, mode);
