/**
 * Store door: what the main thread needs of the store: what it has committed, and tops by SQL.
 */
import type { Config } from './config.ts';
import type { TopBy, TopMeasure, TopRow } from './dashboard/index.ts';
import type { SeenNumbers } from './journal/recovery.ts';
import type { Supervisor } from './supervisor.ts';

export class StoreDoor {
  readonly dataDir: string;

  constructor(dataDir: string, _config: Config) {
    this.dataDir = dataDir;
  }

  /** Position and ordinal that were committed. */
  seen(): SeenNumbers {
    return { position: 0, ordinal: 0 };
  }

  async topLive(supervisor: Supervisor, by: TopBy, count: number): Promise<readonly TopRow[]> {
    return (await supervisor.topLive(by, count)) as readonly TopRow[];
  }

  async topSince(
    _by: TopBy,
    _sinceMs: number,
    _measure: TopMeasure,
    _count: number,
  ): Promise<readonly TopRow[]> {
    return [];
  }

  async close(): Promise<void> {}
}
