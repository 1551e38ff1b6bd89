/**
 * Open pool: a stage's view of the pages, guarded where the server is.
 */
import { PagePool } from '../toolkit/pages/index.ts';
import type { SharedMemory } from './setup.ts';

/** The guard is loaded only where it is used. */
export async function openPool({ pool, guard }: SharedMemory, owner = 0): Promise<PagePool> {
  const view = new PagePool(pool, owner);
  if (guard !== null) {
    const { PoolGuard } = await import('./arena-guard.ts');
    view.guardWith(new PoolGuard(guard, view.pageBytes));
  }
  return view;
}
