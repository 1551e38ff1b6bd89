/**
 * Keeper stage: brings the journal to the disk and removes what is no longer needed.
 *
 * WHY         fdatasync(2) takes milliseconds to seconds; in the journal's thread it would stop the
 *             intake. Unlinking large files is slow too.
 * OWNERSHIP   Reader of the ring of sealed fds; it alone closes segment files. Writes
 *             syncedPosition.
 * SYNC        `none`: only when the store asks before a commit. `interval`: every syncIntervalMs.
 *             `always`: again as soon as the last one has returned and there is something new.
 * ORDER       1. read the published position P  2. read the current fd  3. sync and close every
 *             sealed fd  4. sync the current fd unless it was among them  5. sync the folder when
 *             segments are new  6. syncedPosition = P. Whatever lies below P is then in a file of 3
 *             or 4: a segment is handed over as sealed before the next one becomes current.
 * RETENTION   Oldest whole segments, never the newest: those that are too old or above the size and
 *             that neither the store nor a channel that holds needs (store's consumed position,
 *             forwarder's forward position); above the cap also those that a reader still needs
 *             (it counts dropped{retention} by the gap of ordinals that it finds).
 */
import { readdirSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { monotonicMs, wallMs } from '../../toolkit/base/clock.ts';
import type { CounterWriter } from '../../toolkit/counters/index.ts';
import { type IdleSleeper, NO_SLOT, type SpscConsumer } from '../../toolkit/ring/index.ts';
import {
  checked,
  closeFd,
  errnoName,
  fdatasync,
  fsync,
  openFile,
} from '../../toolkit/sys/index.ts';
import type { Control } from '../control.ts';
import { IDLE_WAIT_MS, type Stage } from '../stage.ts';
import type { KeeperCounter } from './counters.ts';
import { segmentPosition } from './format.ts';
import type { JournalShared } from './shared.ts';

const RETENTION_EVERY_MS = 5_000;
/** After a sync that failed. */
const RETRY_MS = 1_000;

export interface KeeperOptions {
  readonly folder: string;
  readonly sync: 'none' | 'interval' | 'always';
  readonly syncIntervalMs: number;
  readonly retentionMs: number;
  readonly retentionBytes: number;
  readonly capBytes: number;
}

export interface KeeperDependencies {
  readonly shared: JournalShared;
  readonly sealed: SpscConsumer;
  readonly sleeper: IdleSleeper;
  readonly counters: CounterWriter<KeeperCounter>;
  readonly control: Control;
  readonly warn: (text: string, fields: Readonly<Record<string, unknown>>) => void;
}

interface KeptFile {
  readonly path: string;
  readonly position: number;
  readonly bytes: number;
  readonly modifiedMs: number;
}

export class KeeperStage implements Stage {
  readonly roleName = 'keeper';
  readonly #options: KeeperOptions;
  readonly #deps: KeeperDependencies;
  #folderFd = -1;
  #nextSyncMs = 0;
  #nextRetentionMs = 0;
  #retryMs = 0;
  /** The folder could not be listed (EMFILE), and that was said. */
  #isBlind = false;
  /** Sealed and synced fds, to be closed. */
  #synced: number[] = [];
  done = false;

  constructor(options: KeeperOptions, deps: KeeperDependencies) {
    this.#options = options;
    this.#deps = deps;
  }

  onStart(): void {
    const fd = openFile(this.#options.folder, ['read', 'directory']);
    this.#folderFd = checked('open', fd, this.#options.folder);
    this.#retain(monotonicMs());
  }

  doWork(): number {
    const { shared, control, sleeper, sealed } = this.#deps;
    const nowMs = monotonicMs();
    if (nowMs >= this.#nextRetentionMs) this.#retain(nowMs);
    const draining = control.isDraining;
    const behind = shared.syncedPosition < shared.publishedPosition;
    const asked = shared.syncRequest > shared.syncedPosition;
    const due = this.#options.sync === 'always' || nowMs >= this.#nextSyncMs;
    const isTime = draining || nowMs >= this.#retryMs;
    const isWanted = behind && isTime && (asked || draining || (due && this.#syncs));
    if (sealed.used() > 0 || isWanted) {
      const isDone = this.#sync();
      this.#nextSyncMs = nowMs + this.#options.syncIntervalMs;
      if (!isDone) this.#retryMs = nowMs + RETRY_MS;
      // A disk that cannot sync at the end will not do so a moment later.
      if (!isDone && draining && sealed.used() === 0) this.done = true;
      return 1;
    }
    if (draining) this.done = true;
    else {
      const hasWork = (): boolean =>
        sealed.used() > 0 || (behind && isTime && shared.syncRequest > shared.syncedPosition);
      sleeper.park(this.#options.sync === 'always' ? 1 : IDLE_WAIT_MS, hasWork);
    }
    return 0;
  }

  onClose(): void {
    for (const fd of this.#synced) closeFd(fd);
    if (this.#folderFd >= 0) closeFd(this.#folderFd);
    this.#deps.counters.close();
    this.#deps.control.close();
  }

  get #syncs(): boolean {
    return this.#options.sync !== 'none';
  }

  /** False when something failed: syncedPosition stays. */
  #sync(): boolean {
    const { shared, sealed, counters } = this.#deps;
    const beganMs = monotonicMs();
    const published = shared.publishedPosition;
    const current = shared.currentFd;
    let isCurrentSealed = false;
    let failure = 0;
    for (let slot = sealed.peek(); slot !== NO_SLOT; slot = sealed.peek()) {
      const fd = sealed.slots[slot]!;
      sealed.release();
      if (fd === current) isCurrentSealed = true;
      const result = fdatasync(fd);
      if (result < 0) failure = result;
      this.#synced.push(fd);
    }
    this.#closeSynced();
    if (current >= 0 && !isCurrentSealed) failure = Math.min(failure, fdatasync(current));
    failure = Math.min(failure, fsync(this.#folderFd));
    counters.add('syncs', 1);
    counters.add('syncMs', monotonicMs() - beganMs);
    if (failure < 0) counters.add('syncErrors', 1);
    counters.publish();
    if (failure < 0) {
      this.#deps.warn('fdatasync failed: the newest blocks may not survive a power loss', {
        errno: errnoName(failure),
      });
      return false;
    }
    shared.syncedPosition = published;
    return true;
  }

  /**
   * The journal names the next segment as current only after it has sealed the last: until then
   * that one stays open, else its number could be another file's when it is synced as current.
   */
  #closeSynced(): void {
    const current = this.#deps.shared.currentFd;
    for (const fd of this.#synced) if (fd !== current) closeFd(fd);
    this.#synced = this.#synced.filter((fd) => fd === current);
  }

  #retain(nowMs: number): void {
    this.#nextRetentionMs = nowMs + RETENTION_EVERY_MS;
    const files = this.#tryFiles();
    if (files === null) return;
    let total = files.reduce((sum, file) => sum + file.bytes, 0);
    let count = files.length;
    const { consumedPosition, forwardPosition } = this.#deps.shared;
    const neededPosition = Math.min(consumedPosition, forwardPosition);
    const oldestMs = wallMs() - this.#options.retentionMs;
    for (let i = 0; i < files.length - 1; i++) {
      const file = files[i]!;
      const isConsumed = files[i + 1]!.position <= neededPosition;
      const isDue = file.modifiedMs < oldestMs || total > this.#options.retentionBytes;
      if (!(isDue && isConsumed) && total <= this.#options.capBytes) break;
      try {
        unlinkSync(file.path);
      } catch (error) {
        this.#deps.warn('a journal segment cannot be removed', { error: String(error) });
        break;
      }
      total -= file.bytes;
      count--;
      this.#deps.counters.add('removedSegments', 1);
    }
    this.#deps.counters.publish();
    this.#deps.shared.setDisk(total, count);
  }

  /** Null: they cannot be listed now; nothing is removed so long. */
  #tryFiles(): KeptFile[] | null {
    try {
      const files = this.#files();
      this.#isBlind = false;
      return files;
    } catch (error) {
      const fields = { error: String(error) };
      if (!this.#isBlind) this.#deps.warn('the journal cannot be listed: all of it stays', fields);
      this.#isBlind = true;
      return null;
    }
  }

  /** Segments, oldest first, with their allocated bytes. */
  #files(): KeptFile[] {
    const files: KeptFile[] = [];
    for (const name of readdirSync(this.#options.folder)) {
      const position = segmentPosition(name);
      if (position < 0) continue;
      const path = join(this.#options.folder, name);
      const status = statSync(path, { throwIfNoEntry: false });
      if (status === undefined) continue;
      files.push({ path, position, bytes: status.size, modifiedMs: status.mtimeMs });
    }
    return files.sort((a, b) => a.position - b.position);
  }
}
