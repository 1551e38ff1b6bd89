/**
 * For tests: a store stage over blocks in memory, in a folder of its own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoreOptions } from '../../src/server/store/options.ts';
import { storeOptions } from '../../src/server/store/options.ts';
import { QueryEngine } from '../../src/server/store/query.ts';
import { type Cell, readRows } from '../../src/server/store/render.ts';
import { type StoreHooks, StoreStage } from '../../src/server/store/store-stage.ts';
import { MemorySource, type TestBlock } from './store-blocks.ts';

export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), 'millrace-store-'));
}

/** Runs with a folder that is removed afterwards. */
export async function withFolder<T>(run: (dataDir: string) => Promise<T>): Promise<T> {
  const dataDir = makeFolder();
  try {
    return await run(dataDir);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

export interface Started {
  readonly stage: StoreStage;
  readonly source: MemorySource;
}

export async function startStage(
  dataDir: string,
  blocks: readonly TestBlock[],
  options: Partial<StoreOptions> = {},
  hooks: Partial<StoreHooks> = {},
): Promise<Started> {
  let source!: MemorySource;
  const stage = new StoreStage(
    storeOptions({ flushMs: 3_600_000, retryMs: 5, ...options, dataDir }),
    {
      openSource: (position) => {
        source = new MemorySource(blocks, position);
        return source;
      },
      syncJournal: () => Promise.resolve(),
      ...hooks,
    },
  );
  await stage.onStart();
  return { stage, source };
}

/** Takes and commits all blocks, then closes. */
export async function storeAll(
  dataDir: string,
  blocks: readonly TestBlock[],
  options: Partial<StoreOptions> = {},
  hooks: Partial<StoreHooks> = {},
): Promise<void> {
  const { stage } = await startStage(dataDir, blocks, options, hooks);
  const isDrained = await stage.drain(60_000);
  await stage.onClose();
  if (!isDrained) throw new Error('the store did not drain');
}

export async function ask(dataDir: string, sql: string): Promise<Record<string, Cell>[]> {
  const engine = await QueryEngine.open(dataDir);
  try {
    return await readRows(await engine.run(sql));
  } finally {
    engine.close();
  }
}
