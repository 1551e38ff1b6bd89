/**
 * Store door: what the main thread needs of the store: what it has committed, and tops by SQL.
 *
 * WHY        The dashboard must not know DuckDB, the supervisor must not know the commit log. The
 *            query engine here is a reader of committed files, as the command line's is; it is
 *            loaded and opened when somebody looks for the first time.
 */
import { join } from 'node:path';
import type { TopMeasure, TopRow, TopSubject } from './dashboard/index.ts';
import type { SeenNumbers } from './journal/recovery.ts';
import { readStoreState } from './store/commit-log.ts';
import type { QueryEngine } from './store/query.ts';
import type { Supervisor } from './supervisor.ts';

const QUERY_MEMORY_BYTES = 256 * 1024 * 1024;

export class StoreDoor {
  readonly #dataDir: string;
  #engine: Promise<QueryEngine> | null = null;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  /** Position and ordinal that were committed. Throws MR_STORE_LOG. */
  seen(): SeenNumbers {
    const state = readStoreState(join(this.#dataDir, 'store'));
    return { position: state.position, ordinal: state.nextOrdinal };
  }

  async topLive(supervisor: Supervisor, by: TopSubject, count: number): Promise<readonly TopRow[]> {
    return (await supervisor.topLive(by, count)) as readonly TopRow[];
  }

  async topSince(
    by: TopSubject,
    sinceMs: number,
    measure: TopMeasure,
    count: number,
  ): Promise<readonly TopRow[]> {
    this.#engine ??= openEngine(this.#dataDir);
    const { top } = await import('./store/top.ts');
    const engine = await this.#engine;
    return top(engine, { subject: by, sinceMs, by: measure, count });
  }

  async close(): Promise<void> {
    (await this.#engine)?.close();
    this.#engine = null;
  }
}

async function openEngine(dataDir: string): Promise<QueryEngine> {
  const { QueryEngine } = await import('./store/query.ts');
  return QueryEngine.open(dataDir, { memoryBytes: QUERY_MEMORY_BYTES, threads: 1 });
}
