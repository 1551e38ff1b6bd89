/**
 * Door `millrace`: starts a server from code.
 *
 * WHY   The command line, the demo and the tests start the same server through the same function;
 *       the parts that need each other meet here and nowhere else.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { wallMs } from '../toolkit/base/clock.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import { closeFd } from '../toolkit/sys/index.ts';
import { formatEndpoint, isLoopback, parseEndpoint } from './address.ts';
import type { ArenaGuard } from './arena-guard.ts';
import { type Listener, openListeners } from './collect/listener.ts';
import type { Config } from './config.ts';
import { describeCpus, explicitCpus } from './cpu-plan.ts';
import { type Dashboard, startDashboard } from './dashboard/index.ts';
import { type DataFolder, openDataFolder } from './data-folder.ts';
import { hasEpochs } from './forward/group-file.ts';
import { localAddresses } from './forward/loop.ts';
import { readPosition } from './forward/position-file.ts';
import { ForwardDoor } from './forward-door.ts';
import { tagSets } from './forward-filter.ts';
import { heldPosition } from './forward-hold.ts';
import { type ForwardPlace, forwardOptions } from './forward-plan.ts';
import { forwardLines } from './forward-text.ts';
import { forwardWarnings } from './forward-warnings.ts';
import type { GuardStatus } from './guard-status.ts';
import { recoverJournal } from './journal/recovery.ts';
import { type Logger, makeLog } from './log.ts';
import { Memory } from './memory.ts';
import { Pinning } from './pinning.ts';
import { FORWARD_WORKERS, formatPlan, makePlan, type Plan } from './plan.ts';
import { Reloader, reloadText } from './reload.ts';
import type { ReloadStatus } from './reload-status.ts';
import { Sampler } from './sampler.ts';
import type { Fault } from './setup.ts';
import type { Snapshot } from './snapshot.ts';
import { StoreDoor } from './store-door.ts';
import { Supervisor } from './supervisor.ts';

export { type Config, type ConfigInput, makeConfig, readConfigFile } from './config.ts';
export { formatPlan, makePlan, type Plan } from './plan.ts';
export type { ReloadStatus } from './reload-status.ts';
export type { Snapshot } from './snapshot.ts';

const SAMPLE_MS = 1_000;
/** A forwarder that runs takes new options with its next turn; one that is restarted, later. */
const RELOAD_WAIT_MS = 3_000;
/** In the data folder: a line of JSON for each write that the guard has caught. */
const GUARD_REPORTS = 'guard-reports.jsonl';

export interface Server {
  readonly config: Config;
  /** Where it listens, as HOST:PORT with the ports that were taken. */
  readonly ports: { readonly listen: readonly string[]; readonly http: string | null };
  /** The newest snapshot; made once a second. */
  snapshot(): Snapshot;
  /**
   * Puts `forward:` of another configuration (plain data, as of a file) in force. The other keys
   * are only compared: those that differ are named. What is wrong changes nothing; never rejects.
   */
  reload(input: unknown): Promise<ReloadStatus>;
  /**
   * From now on SIGHUP reloads what `read` returns then; `where` names it in errors. What became of
   * it is in the log, in the snapshot and in `reload.json` of the data folder.
   */
  reloadOnHangup(read: () => unknown, where: string): void;
  /**
   * Stops accepting, journals what the kernel holds, commits what it can in 8 s. The folder is free
   * when `closed` resolves: a flush under way at the end of the time is not broken off.
   */
  drain(): Promise<Snapshot>;
  /** Ends without draining: what a kill -9 leaves. */
  abort(): Promise<void>;
  /** Resolves when the server has drained; rejects when it cannot go on. */
  readonly closed: Promise<void>;
}

/** package.json's version, from dist/src/server as from src/server. */
export function packageVersion(): string {
  for (const up of ['../../package.json', '../../../package.json']) {
    try {
      const text = readFileSync(new URL(up, import.meta.url), 'utf8');
      return (JSON.parse(text) as { version: string }).version;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return '0.0.0';
}

/**
 * The printable plan of a configuration on this machine. With `cpu.pin: auto` the CPUs are watched
 * for about a second. Throws what `checkPlan` throws.
 */
export async function describePlan(config: Config): Promise<string> {
  const plan = makePlan(config, placeOf());
  return formatPlan(plan, availableParallelism(), await describeCpus(config, plan));
}

/**
 * Throws MR_CONFIG_KEY, MR_FILTER, MR_FORWARD_LOOP, and MR_CPU where `cpu.pin` names what this
 * machine does not have. Lines that say what will be forwarded where, and what is doubtful.
 */
export function checkPlan(config: Config): readonly string[] {
  const plan = makePlan(config, placeOf());
  explicitCpus(config, plan);
  const warnings = forwardWarnings(config).map((text) => `warning: ${text}`);
  return [...forwardLines(plan.forward), ...warnings];
}

/** Without listeners: before they are open. */
function placeOf(listeners?: readonly Listener[]): Partial<ForwardPlace> {
  const addresses = localAddresses();
  return { localAddresses: addresses, ...(listeners === undefined ? {} : { listeners }) };
}

/**
 * Starts a server. Throws MR_CONFIG_KEY, MR_DATA_ACCESS, MR_DATA_LOCKED, MR_DISK_FULL,
 * MR_PORT_IN_USE, MR_LISTEN, MR_ADDRESS, MR_STORE_LOG, MR_CPU; nothing runs and nothing is locked
 * then.
 */
export async function startServer(config: Config, faults: readonly Fault[] = []): Promise<Server> {
  makePlan(config);
  const log = makeLog(config.log.level);
  const folder = openDataFolder(config.data);
  let listeners: readonly Listener[] = [];
  try {
    listeners = await openListeners(config.listen, config.collect.receiveBufferBytes);
    // Again, with the ports that the kernel chose: a loop can be seen now.
    const plan = makePlan(config, placeOf(listeners));
    const pinning = new Pinning(config, plan, log);
    return await RunningServer.start({ config, plan, log, pinning, folder, listeners, faults });
  } catch (error) {
    for (const listener of listeners) closeFd(listener.fd);
    folder.close();
    throw error;
  }
}

interface Parts {
  readonly config: Config;
  readonly plan: Plan;
  readonly log: Logger;
  readonly pinning: Pinning;
  readonly folder: DataFolder;
  readonly listeners: readonly Listener[];
  readonly faults: readonly Fault[];
}

class RunningServer implements Server {
  /** `forward` is that of the last reload. */
  config: Config;
  ports: { listen: readonly string[]; http: string | null } = { listen: [], http: null };
  readonly closed: Promise<void>;
  readonly #parts: Parts;
  readonly #memory: Memory;
  readonly #supervisor: Supervisor;
  readonly #sampler: Sampler;
  readonly #store: StoreDoor;
  readonly #door: ForwardDoor;
  readonly #reloader: Reloader;
  #guard: ArenaGuard | null = null;
  #timer: NodeJS.Timeout | null = null;
  #dashboard: Dashboard | null = null;
  #snapshot: Snapshot;
  #drained: Promise<Snapshot> | null = null;
  #resolveClosed: () => void = () => {};

  private constructor(parts: Parts) {
    const { config, plan, log, pinning, folder, listeners } = parts;
    this.#parts = parts;
    this.config = config;
    this.#store = new StoreDoor(folder.path);
    const seen = this.#store.seen();
    const recovered = recoverJournal(folder.journal, seen);
    if (recovered.tornBytes > 0) {
      log.warn({ tornBytes: recovered.tornBytes }, 'the torn end of the journal was cut off');
    }
    const memory = new Memory(config, recovered, folder.journal, listeners, parts.faults);
    this.#memory = memory;
    pinning.placeArena(memory.pool.bytes);
    const stored = {
      position: (channel: string) => readPosition(folder.positions, channel, recovered.uuid),
      hasEpochs: (group: string) => hasEpochs(folder.positions, group),
    };
    memory.journal.forwardPosition = heldPosition(plan.forward, stored, recovered);
    const { forwardWakeFd } = memory.shared;
    this.#door = new ForwardDoor(plan.forward, folder.positions, forwardWakeFd);
    this.#supervisor = new Supervisor(memory, plan, log, pinning, this.#door);
    const listen = listeners.map((listener) => formatEndpoint(listener));
    this.ports = { listen, http: null };
    this.#sampler = new Sampler(
      {
        collect: memory.collect,
        journal: memory.journalCounters,
        keeper: memory.keeperCounters,
        log: memory.logCounters,
        shared: memory.journal,
        pool: memory.pool,
        version: packageVersion(),
        startedMs: wallMs(),
        connectionCountMax: config.collect.connectionCountMax,
        tornBytes: recovered.tornBytes,
        listeners: listen,
        pinning: () => pinning.status(),
        guard: () => this.#guardStatus(),
        reload: () => this.#reloader.status,
      },
      this.#supervisor.state,
    );
    this.#reloader = new Reloader({
      config: () => this.config,
      apply: (forward) => this.#applyForward(forward),
      onDone: (reload) => {
        this.#snapshot = { ...this.#snapshot, reload };
      },
      folder: folder.path,
      log,
    });
    this.#snapshot = this.#sampler.sample();
    const ended = new Promise<void>((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.closed = Promise.race([ended, this.#supervisor.failed]);
    this.closed.catch(() => {});
  }

  static async start(parts: Parts): Promise<RunningServer> {
    const server = new RunningServer(parts);
    try {
      await server.#guardArena();
      await server.#supervisor.start();
      await server.#startDashboard();
    } catch (error) {
      await server.#supervisor.stop();
      parts.pinning.stop();
      server.#guard?.end();
      throw error;
    }
    server.#timer = setInterval(() => server.#sample(), SAMPLE_MS);
    server.#sample();
    server.#announce();
    return server;
  }

  snapshot(): Snapshot {
    return this.#snapshot;
  }

  reload(input: unknown): Promise<ReloadStatus> {
    return this.#reloader.reload(() => input);
  }

  reloadOnHangup(read: () => unknown, where: string): void {
    this.#reloader.onHangup(read, where);
    this.#parts.folder.takesHangup();
  }

  drain(): Promise<Snapshot> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  async abort(): Promise<void> {
    await this.#supervisor.stop();
    await this.#close();
  }

  #sample(): void {
    this.#snapshot = this.#sampler.sample();
  }

  async #drain(): Promise<Snapshot> {
    const isWhole = await this.#supervisor.drain();
    this.#sample();
    const { intake, sinks } = this.#snapshot;
    const differences = [intake.difference, ...sinks.map((sink) => sink.difference)];
    if (differences.some((difference) => difference !== 0)) {
      this.#parts.log.error({ intake, sinks }, 'a ledger does not close');
    }
    this.#parts.log.info({ isWhole }, 'drained');
    await this.#close();
    return this.#snapshot;
  }

  /** What a reload does; in words. Throws MR_CONFIG_KEY, MR_FILTER, MR_FORWARD_LOOP. */
  async #applyForward(forward: Config['forward']): Promise<string> {
    if (this.#drained !== null) throw new Error('the server is draining');
    const config = Object.freeze({ ...this.config, forward });
    const next = forwardOptions(config, placeOf(this.#parts.listeners));
    const changes = reloadText(this.#door.options, next);
    this.config = config;
    const generation = this.#door.handOver(next);
    if (next.channels.length > 0) await this.#supervisor.add(FORWARD_WORKERS);
    const isTaken = await this.#supervisor.untilForward(generation, RELOAD_WAIT_MS);
    return isTaken ? changes : `${changes}; the forwarder has not taken it over yet`;
  }

  async #close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#parts.pinning.stop();
    await this.#dashboard?.close();
    await this.#store.close();
    this.#door.close();
    this.#reloader.close();
    for (const listener of this.#parts.listeners) closeFd(listener.fd);
    // A store that was left behind still owns the folder: the lock goes when its thread has ended.
    void this.#supervisor.ended().then(() => {
      this.#guard?.end();
      this.#parts.folder.close();
      this.#resolveClosed();
    });
  }

  /** Before the first worker: each finds the guard in its setup. */
  async #guardArena(): Promise<void> {
    const { mode } = this.config.guard;
    if (mode === 'off') return;
    const { ArenaGuard } = await import('./arena-guard.ts');
    this.#guard = new ArenaGuard(this.#memory.pool, mode, this.#guardFile());
    this.#memory.guardWith(this.#guard.handle);
    this.#parts.log.info({ mode, reports: this.#guardFile() }, 'pages are guarded');
  }

  #guardFile(): string {
    return join(this.#parts.folder.path, GUARD_REPORTS);
  }

  #guardStatus(): GuardStatus {
    const guard = this.#guard;
    if (guard === null) return { mode: 'off', faults: 0, refused: 0, file: '' };
    const { faults, refused } = guard;
    return { mode: this.config.guard.mode, faults, refused, file: this.#guardFile() };
  }

  async #startDashboard(): Promise<void> {
    const { http, dashboard } = this.config;
    if (http === null) return;
    const endpoint = parseEndpoint(http);
    this.#dashboard = await startDashboard({
      host: endpoint.host,
      port: endpoint.port,
      clientsMax: dashboard.clientCountMax,
      source: {
        journal: {
          folder: this.#parts.folder.journal,
          publishedPosition: () => this.#memory.journal.publishedPosition,
          categories: () => tagSets(this.config.forward),
        },
        snapshot: () => this.#snapshot,
        ready: () => this.#snapshot.state === 'running',
        topLive: (by, n) => this.#store.topLive(this.#supervisor, by, n),
        topSince: (by, sinceMs, measure, n) => this.#store.topSince(by, sinceMs, measure, n),
      },
      onError: (error) => this.#parts.log.error({ error: error.message }, 'a request failed'),
    });
    this.ports = { ...this.ports, http: this.#dashboard.address };
  }

  #announce(): void {
    for (const text of forwardWarnings(this.config)) this.#parts.log.warn({}, text);
    const { log, listeners } = this.#parts;
    log.info({ listen: this.ports.listen, http: this.ports.http }, 'millrace is running');
    const isOpen = listeners.some((listener) => !isLoopback(listener.host));
    if (isOpen && this.config.collect.allow.length === 0) {
      log.warn(
        { listen: this.ports.listen },
        'exporters are not restricted: RDRv1 has no authentication, set collect.allow',
      );
    }
  }
}

export { MillraceError };
