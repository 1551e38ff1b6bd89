/**
 * Reload: the configuration is read again while the server runs; what may change, changes.
 *
 * WHY        Only `forward:` can change without a restart: its channels know nothing of each other.
 *            Another key that differs is no reason to refuse that: it is named, and the server goes
 *            on with what it had. A file that is wrong in any place changes nothing.
 * OUTCOME    `reload.json` of the data folder has the newest, replaced as a whole: `millrace
 *            reload` waits for it, and it is there where HTTP is off.
 * INVARIANTS Reloads are carried out one after another; none is left out, and none throws.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { wallMs } from '../toolkit/base/clock.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import { type Config, makeConfig } from './config.ts';
import { type ChannelFate, channelFate } from './forward/channel-changes.ts';
import type { ChannelOptions, ForwardOptions } from './forward/options.ts';
import type { Logger } from './log.ts';
import { NO_RELOAD, type ReloadStatus } from './reload-status.ts';

/** In the data folder: {pid, timeMs, count, ok, text}. */
export const RELOAD_FILE = 'reload.json';

export interface ReloadDeps {
  /** What the server runs with, `forward` as of the last reload. */
  readonly config: () => Config;
  /** Puts `forward` in force; what it did, in words. Throws what is wrong with it. */
  readonly apply: (forward: Config['forward']) => Promise<string>;
  readonly onDone: (status: ReloadStatus) => void;
  readonly folder: string;
  readonly log: Logger;
}

export class Reloader {
  readonly #deps: ReloadDeps;
  #status: ReloadStatus = NO_RELOAD;
  #last: Promise<unknown> = Promise.resolve();
  #onSignal: (() => void) | null = null;

  constructor(deps: ReloadDeps) {
    this.#deps = deps;
  }

  get status(): ReloadStatus {
    return this.#status;
  }

  /** `read` returns plain data as of a file, or throws; `where` names it in errors. */
  reload(read: () => unknown, where?: string): Promise<ReloadStatus> {
    const next = this.#last.then(() => this.#reload(read, where));
    this.#last = next;
    return next;
  }

  /** From now on SIGHUP is a reload. */
  onHangup(read: () => unknown, where: string): void {
    this.#onSignal = () => void this.reload(read, where);
    process.on('SIGHUP', this.#onSignal);
  }

  close(): void {
    if (this.#onSignal !== null) process.off('SIGHUP', this.#onSignal);
    this.#onSignal = null;
  }

  async #reload(read: () => unknown, where?: string): Promise<ReloadStatus> {
    const timeMs = wallMs();
    const { log } = this.#deps;
    let ok = true;
    let text: string;
    try {
      text = await this.#applied(makeConfig(read(), where));
      log.info({ text }, 'the configuration was reloaded');
    } catch (error) {
      ok = false;
      const known = error instanceof MillraceError ? error : null;
      text = known === null ? String(error) : `${known.code}: ${known.message}`;
      log.error({ error: text }, 'the configuration was not reloaded: nothing was changed');
    }
    this.#status = { timeMs, count: this.#status.count + 1, ok, text };
    this.#deps.onDone(this.#status);
    this.#write();
    return this.#status;
  }

  async #applied(next: Config): Promise<string> {
    const { apply, config, log } = this.#deps;
    const now = config();
    const others = differingKeys(now, next);
    const text = isDeepStrictEqual(now.forward, next.forward)
      ? 'forward: nothing has changed'
      : await apply(next.forward);
    if (others.length === 0) return text;
    log.warn({ keys: others }, 'these keys differ and need a restart');
    return `${text}; not applied, as it needs a restart: ${others.join(', ')}`;
  }

  #write(): void {
    const path = join(this.#deps.folder, RELOAD_FILE);
    try {
      writeFileSync(`${path}.new`, `${JSON.stringify({ pid: process.pid, ...this.#status })}\n`);
      renameSync(`${path}.new`, path);
    } catch (error) {
      this.#deps.log.error({ path, error: String(error) }, 'the outcome cannot be written');
    }
  }
}

/** Paths of keys whose values differ, but for those of `forward`: `listen`, `collect.lingerMs`. */
export function differingKeys(now: Config, next: Config): string[] {
  const keys: string[] = [];
  const compare = (a: unknown, b: unknown, path: string): void => {
    if (isDeepStrictEqual(a, b)) return;
    if (isMap(a) && isMap(b)) {
      for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
        compare(a[key], b[key], `${path}.${key}`);
      }
    } else keys.push(path);
  };
  for (const key of Object.keys(now) as (keyof Config)[]) {
    if (key !== 'forward') compare(now[key], next[key], key);
  }
  return keys;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a reload does to the channels, in words; of those that change, by which keys. */
export function reloadText(now: ForwardOptions, next: ForwardOptions): string {
  const found: Record<ChannelFate, string[]> = {
    new: [],
    changed: [],
    reopened: [],
    untouched: [],
    removed: [],
  };
  const byName = ({ channels }: ForwardOptions): Map<string, ChannelOptions> =>
    new Map(channels.map((channel) => [channel.name, channel]));
  const [before, after] = [byName(now), byName(next)];
  for (const name of new Set([...after.keys(), ...before.keys()])) {
    const { fate, keys } = channelFate(before.get(name) ?? null, after.get(name) ?? null);
    found[fate].push(keys.length === 0 ? name : `${name}: ${keys.join(' ')}`);
  }
  const parts = Object.entries(found).flatMap(([kind, names]) =>
    names.length === 0 ? [] : [`${names.length} ${kind} (${listed(names)})`],
  );
  return `forward: ${parts.length === 0 ? 'no channels' : parts.join(', ')}`;
}

const NAMES_TOLD = 5;

function listed(names: readonly string[]): string {
  return names.slice(0, NAMES_TOLD).join(', ') + (names.length > NAMES_TOLD ? ', ...' : '');
}
