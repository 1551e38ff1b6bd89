/**
 * Pages: the arena and the states of its pages.
 */
export { NO_PAGE, PagePool, type PagePoolHandle } from './page-pool.ts';
