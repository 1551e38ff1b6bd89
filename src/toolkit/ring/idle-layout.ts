/**
 * Layout of an IdleStrategy: one sleeper, and those who wake it.
 *
 *   byte 0  asleep       sleeper sets it, sleeper and wakers clear it (by exchange)
 *        4  sleeperRole  by compare-and-swap (roles.ts)
 *        8  never        nobody: who waits on it is woken by the time alone
 *
 * One line of 128 bytes in all: while nobody sleeps nothing is written, and wakers keep their copy.
 */
import { CACHE_LINE_PAIR_BYTES } from '../base/limits.ts';

export const IDLE_ASLEEP_WORD = 0;
export const IDLE_SLEEPER_WORD = 1;
export const IDLE_NEVER_WORD = 2;

export const IDLE_BYTES = CACHE_LINE_PAIR_BYTES;
