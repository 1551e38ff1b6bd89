/**
 * Setup: what the supervisor hands to a worker at its start: plain data and shared memory.
 */
import type { MessagePort } from 'node:worker_threads';
import type { CounterHandle } from '../toolkit/counters/index.ts';
import type { PagePoolHandle } from '../toolkit/pages/index.ts';
import type { BroadcastRingHandle, IdleHandle, SpscRingHandle } from '../toolkit/ring/index.ts';
import type { ArenaGuardHandle } from './arena-guard.ts';
import type { Config } from './config.ts';
import type { ForwardOptions } from './forward/options.ts';
import type { JournalSharedHandle } from './journal/shared.ts';
import type { LogHandle } from './log-ring.ts';

export type Role = 'collect' | 'journal' | 'keeper' | 'store' | 'forward' | 'catchup';

/** Index of the store among the readers of the broadcast ring. */
export const STORE_READER = 0;
export const READER_COUNT = 1;

/** The word of `connectionIds` that counts connections. */
export const CONNECTION_COUNT_WORD = 0;

/** Between the forwarder and the catch-up worker; made by forward/catchup-slot.ts. */
export interface CatchupHandle {
  /** Requests, forwarder -> catch-up. */
  readonly ring: SpscRingHandle;
  /** Where the catch-up worker sleeps. */
  readonly idle: IdleHandle;
  /** Which request is done, catch-up -> forwarder. */
  readonly done: SharedArrayBuffer;
}

export interface SharedMemory {
  readonly pool: PagePoolHandle;
  /** null: the server is not guarded. */
  readonly guard: ArenaGuardHandle | null;
  /** One per collector. */
  readonly rings: readonly SpscRingHandle[];
  readonly broadcast: BroadcastRingHandle;
  /** fds of full segments, journal -> keeper. */
  readonly sealed: SpscRingHandle;
  /** Where the journal and the keeper sleep, and are woken. */
  readonly journalIdle: IdleHandle;
  readonly keeperIdle: IdleHandle;
  readonly journal: JournalSharedHandle;
  /** eventfd at which the forwarder sleeps. */
  readonly forwardWakeFd: number;
  /** Requests of the forwarder to the catch-up worker, and what it answers; null: none. */
  readonly catchup: CatchupHandle | null;
  /** One int32: connections so far; id = base + count. */
  readonly connectionIds: SharedArrayBuffer;
}

/** What the forward worker gets besides. */
export interface ForwardSetup {
  /** The newest: also those of a reload before the worker was restarted. */
  readonly options: ForwardOptions;
  /** Counts the options: 0 at the start of the server, one more with each reload. */
  readonly generation: number;
  /** Folder of the position files; it exists. */
  readonly positionsFolder: string;
  /** The door to the main thread (forward/door.ts); transferred, one for each life. */
  readonly port: MessagePort;
}

export interface WorkerSetup {
  readonly role: Role;
  /** 0-based among the workers of one role. */
  readonly index: number;
  readonly config: Config;
  readonly shared: SharedMemory;
  readonly commands: SpscRingHandle;
  readonly log: LogHandle;
  readonly counters: CounterHandle<string>;
  readonly journalFolder: string;
  readonly journalUuid: Uint8Array;
  readonly firstPosition: number;
  readonly firstOrdinal: number;
  readonly firstBlockOrdinal: number;
  readonly connectionIdBase: number;
  /**
   * collect: listening sockets, the wake-up eventfd. collect, forward: the table of open fds, as fd
   * + 1, 0 for none: the supervisor closes them when the thread has died.
   */
  readonly listeners: readonly { readonly fd: number; readonly port: number }[];
  readonly wakeFd: number;
  readonly fds: SharedArrayBuffer;
  /** forward only; null elsewhere. */
  readonly forward: ForwardSetup | null;
  /** Tests only. */
  readonly faults: readonly Fault[];
}

/** Word of a fault's `from`. */
export const FAULT_OPEN = 0;

/** Tests only: a worker throws, or stands still, at the n-th time that it comes to a step. */
export interface Fault {
  /** Whose; the store's if nothing is said. Blocking stages know one step: `turn`. */
  readonly role?: Role;
  /** Beginning of a step's name, as store/flush.ts and store-stage.ts name them. */
  readonly step: string;
  /** From 1. */
  readonly time: number;
  /** Turns are counted from when its word FAULT_OPEN is set; from the first, if there is none. */
  readonly from?: Int32Array;
  /** Blocks the thread for so long instead of throwing. */
  readonly pauseMs?: number;
  /** The store's alone: stands still there, from that time on, while its word is GATE_CLOSED. */
  readonly gate?: Int32Array;
}

/** The word of a fault's gate, and what it says. */
export const GATE_WORD = 0;
export const GATE_OPEN = 0;
export const GATE_CLOSED = 1;
