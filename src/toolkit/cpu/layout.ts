/**
 * Layout of the register of threads: which thread of the process does what.
 *
 * WHY         Node.js 20 calls all threads "node" and tells nobody the thread of a worker. So each
 *             worker writes its own line here, and any other reads it.
 * LAYOUT      int32 words; an entry of 16 words for each thread, without a header:
 *
 *                 word   0   thread id of the kernel   0 = free, -1 = being written
 *                        1   threadId of node:worker_threads
 *                        2   low 32 bits of the start time, to know a thread id used again
 *                        3   bytes of the role
 *                   4..15   the role, UTF-8
 *
 * OWNERSHIP   An entry is written by the thread that it is about, which claims it by
 *             compare-exchange; an entry of a thread that has ended is free to claim.
 * INVARIANTS  Word 0 is stored last and loaded first: a reader that sees a thread id sees the rest.
 */
export const ENTRY_WORDS = 16;
export const ENTRY_COUNT = 512;

export const TID_WORD = 0;
export const NODE_ID_WORD = 1;
export const START_WORD = 2;
export const ROLE_LENGTH_WORD = 3;
export const ROLE_WORD = 4;

export const ROLE_BYTES_MAX = 4 * (ENTRY_WORDS - ROLE_WORD);

export const FREE = 0;
export const BEING_WRITTEN = -1;

export const REGISTER_BYTES = 4 * ENTRY_WORDS * ENTRY_COUNT;
