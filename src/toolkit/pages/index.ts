/**
 * Door `millrace/pages`: the arena and the states of its pages.
 */
export type { ArenaAnswer, ArenaOptions, ArenaReport } from './arena.ts';
export { PAGE_OWNER_MAX } from './layout.ts';
export type { PageGuard } from './page-guard.ts';
export { NO_PAGE, PagePool, type PagePoolHandle, type PagePoolOptions } from './page-pool.ts';
export type { PageHolders, PageStats } from './page-stats.ts';
