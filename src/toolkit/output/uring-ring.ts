/**
 * UringRing: one io_uring per thread, for IORING_OP_SEND_ZC of all its connections.
 *
 * WHY         A ring per connection would cost 10,000 fds and mappings; completions find their
 *             connection by their slot.
 * LAYOUT      The kernel's rings, mapped by mapFile; offsets come from struct io_uring_params
 *             (sq_off at 40, cq_off at 80). Submissions: read by the kernel, written here: next and
 *             the entries. Completions, 16 bytes each { userData u64, result i32, flags u32 }:
 *             written by the kernel, read here. userData is a slot: { ledger, call }.
 *             The kernel's "head" is our readSeq, its "tail" our writeSeq.
 * OWNERSHIP   Made at the first use in a thread, ended with the thread (or closeThreadRing;
 *             terminate() of a worker leaves it open); one fd, a second when wakeFd is asked for. A
 *             slot is taken from the submission to the notice. The ledger of a closed writer goes
 *             on taking its late notices and nobody asks it any more.
 * INVARIANTS  1. one entry at a time: prepare, enter, take its result. A send that never waits
 *             (MSG_DONTWAIT) completes inside the call, so order on a connection is that of calls
 *             2. DEFER_TASKRUN: completions appear only while this thread is inside uringEnter;
 *             without it the kernel would interrupt whatever the thread sleeps in (epoll_wait then
 *             answers 0 before its time, which libuv asserts never to happen)
 *             3. the address in an entry is used inside the call; from then on the kernel holds the
 *             memory's pages itself, even if the arena is unmapped
 *             4. full slots are an answer (-ENOBUFS), a full completion ring is the kernel's
 *             backlog (NODROP).
 * REFUSED     SQPOLL (a spinning kernel thread per ring); registered buffers (memory locked for
 *             good); a ring before anybody asks (containers refuse io_uring_setup: that is normal).
 * Source: io_uring(7), io_uring_setup(2), io_uring_enter(2); Linux 6.2 (REPORT_USAGE).
 */
import { endianness } from 'node:os';
import { assert } from '../base/assert.ts';
import { MillraceError } from '../base/errors.ts';
import {
  EBADF,
  EINVAL,
  ENOBUFS,
  ENOMEM,
  ENOSYS,
  ENOTSOCK,
  EOPNOTSUPP,
  EPERM,
  errnoName,
  SyscallError,
} from '../sys/errno.ts';
import {
  closeFd,
  eventfdClear,
  eventfdCreate,
  eventfdSignal,
  mapFile,
  URING_ENTRY_BYTES,
  URING_PARAMS_BYTES,
  uringEnter,
  uringPrepareSend,
  uringSetup,
  uringSignal,
} from '../sys/index.ts';
import type { NotificationReclaim } from './notification-reclaim.ts';

const LITTLE = endianness() === 'LE';

/** Submissions at once: one, but the kernel wants room. Completions: see INVARIANTS 4. */
const SUBMISSIONS = 8;
const COMPLETIONS = 4096;
const SLOTS_AT_FIRST = 64;
/** Sends of all connections of a thread whose notices are outstanding. */
export const RING_SLOTS_MAX = 65_536;

const SETUP_CQSIZE = 1 << 3;
const SETUP_TASKRUN_FLAG = 1 << 9;
const SETUP_SINGLE_ISSUER = 1 << 12;
const SETUP_DEFER_TASKRUN = 1 << 13;
const FEAT_SINGLE_MMAP = 1;

const OFFSET_RINGS = 0;
const OFFSET_ENTRIES = 0x1000_0000;

/** In struct io_uring_params. */
const PARAMS_COMPLETIONS_OFFSET = 4;
const PARAMS_FLAGS_OFFSET = 8;
const PARAMS_FEATURES_OFFSET = 20;
const SQ_OFFSETS = 40;
const CQ_OFFSETS = 80;

const COMPLETION_BYTES = 16;
const FLAG_MORE = 2;
const FLAG_NOTICE = 8;
/** In the result of a notice: the kernel has copied. */
const NOTICE_COPIED = 0x8000_0000 | 0;

/** In the flags of the submission ring: something to fetch with uringEnter. */
const SQ_CQ_OVERFLOW = 2;
const SQ_TASKRUN = 4;
/** In the flags of the completion ring: the eventfd is not raised. */
const CQ_EVENTFD_DISABLED = 1;

const MSG_DONTWAIT = 0x40;
/** Times that we enter for notices: all that can be outstanding, twenty at a time. */
const REAP_TRIES_MAX = RING_SLOTS_MAX / 16;
/** Times that we enter for a result that should have been there at once. */
const LATE_RESULT_TRIES = 8;

/** Places in the rings, as int32 word indices. */
interface RingLayout {
  readonly sqRead: number;
  readonly sqWrite: number;
  readonly sqMask: number;
  readonly sqFlags: number;
  readonly sqIndices: number;
  readonly cqRead: number;
  readonly cqWrite: number;
  readonly cqMask: number;
  readonly cqFlags: number;
  readonly cqEntries: number;
  readonly ringBytes: number;
}

let threadRing: UringRing | null = null;

/** The ring of this thread, made now if need be. Throws MR_OUTPUT_MECHANISM where it is refused. */
export function uringOfThread(): UringRing {
  if (threadRing === null) {
    threadRing = new UringRing();
    process.once('exit', closeThreadRing);
  }
  return threadRing;
}

/** Ends the ring of this thread; writers that still have it copy from then on. */
export function closeThreadRing(): void {
  threadRing?.close();
  threadRing = null;
  process.removeListener('exit', closeThreadRing);
}

/**
 * Passes on all notices of this thread's ring, also those of closed writers: what to do when its
 * wakeFd is readable, before reclaim() of the writers.
 */
export function reapThreadRing(): void {
  threadRing?.reap();
}

export class UringRing {
  #fd: number;
  /** eventfd that notices raise, once somebody has asked for it; else -1. */
  #wakeFd = -1;
  readonly #layout: RingLayout;
  readonly #words: Int32Array;
  readonly #entries: Uint8Array;
  /** By slot; null: the notice comes, but nobody waits for it. */
  readonly #ledgers: (NotificationReclaim | null)[] = [];
  #callOf = new Uint32Array(SLOTS_AT_FIRST);
  /** Free slots, a stack. */
  readonly #free: number[] = [];
  /** The slot whose result send() waits for, -1: none; and the result. */
  #awaited = -1;
  #result = 0;

  /** Use uringOfThread(). */
  constructor() {
    const parameters = new Uint8Array(URING_PARAMS_BYTES);
    const view = new DataView(parameters.buffer);
    view.setUint32(PARAMS_COMPLETIONS_OFFSET, COMPLETIONS, LITTLE);
    const flags = SETUP_CQSIZE | SETUP_TASKRUN_FLAG | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN;
    view.setUint32(PARAMS_FLAGS_OFFSET, flags, LITTLE);
    this.#fd = uringSetup(SUBMISSIONS, parameters);
    if (this.#fd < 0) throw refusal('io_uring_setup', this.#fd);
    try {
      if ((view.getUint32(PARAMS_FEATURES_OFFSET, LITTLE) & FEAT_SINGLE_MMAP) === 0) {
        throw refusal('io_uring_setup', -EINVAL);
      }
      this.#layout = readLayout(view);
      this.#words = new Int32Array(mapFile(this.#fd, OFFSET_RINGS, this.#layout.ringBytes));
      const entriesBytes = SUBMISSIONS * URING_ENTRY_BYTES;
      this.#entries = new Uint8Array(mapFile(this.#fd, OFFSET_ENTRIES, entriesBytes));
      this.#probe();
    } catch (error) {
      this.close();
      if (error instanceof SyscallError) throw refusal('mmap of its rings', -error.errno, error);
      throw error;
    }
  }

  /**
   * An fd that is readable (EPOLLIN) when notices wait to be fetched by reap(), which clears it; or
   * -errno. Made at the first call: who never waits for notices does not pay for it.
   */
  wakeFd(): number {
    if (this.#wakeFd >= 0) return this.#wakeFd;
    if (this.#fd < 0) return -EBADF;
    const eventFd = eventfdCreate();
    if (eventFd < 0) return eventFd;
    const result = uringSignal(this.#fd, eventFd);
    if (result < 0) {
      closeFd(eventFd);
      return result;
    }
    this.#wakeFd = eventFd;
    this.#raiseWhenPending();
    return eventFd;
  }

  /** Sends whose notices are outstanding. */
  get openCount(): number {
    return this.#ledgers.length - this.#free.length;
  }

  /**
   * One SEND_ZC, noted in `ledger` as a call from `position` of its stream. Returns bytes taken, or
   * -errno with nothing noted: -EAGAIN (the socket is full), -ENOBUFS, -ENOMEM (no room for the
   * call), or what send(2) would say.
   */
  send(
    fd: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    ledger: NotificationReclaim,
    position: number,
  ): number {
    const slot = this.#takeSlot();
    if (slot < 0) return -ENOBUFS;
    const call = ledger.add(position);
    this.#ledgers[slot] = ledger;
    this.#callOf[slot] = call;
    const result = this.#submit(slot, fd, bytes, offset, length);
    if (result <= 0) ledger.cancel(call);
    return result;
  }

  /** Passes on all notices that there are; a system call only when the kernel has some for us. */
  reap(): void {
    if (this.#fd < 0) return;
    this.#silence();
    if (this.#wakeFd >= 0) eventfdClear(this.#wakeFd);
    this.#readCompletions();
    for (let tries = 0; this.#isPending() && tries < REAP_TRIES_MAX; tries += 1) {
      // The kernel hands over some twenty at a time, and what does not fit into the ring later.
      if (uringEnter(this.#fd, 0, 0, true) < 0) break;
      this.#readCompletions();
    }
    this.#listen();
  }

  close(): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    if (this.#wakeFd >= 0) closeFd(this.#wakeFd);
    this.#fd = -1;
    this.#wakeFd = -1;
  }

  /** Result of one send; what it noted in the slot is undone when that is not above 0. */
  #submit(slot: number, fd: number, bytes: Uint8Array, offset: number, length: number): number {
    const words = this.#words;
    const { sqRead, sqWrite, sqMask, sqIndices } = this.#layout;
    const next = words[sqWrite]!;
    const after = (next + 1) | 0;
    const index = next & words[sqMask]!;
    const entries = this.#entries;
    const prepared = uringPrepareSend(
      entries,
      index,
      fd,
      bytes,
      offset,
      length,
      MSG_DONTWAIT,
      slot,
    );
    if (prepared < 0) return this.#undo(slot, prepared);
    words[sqIndices + index] = index;
    Atomics.store(words, sqWrite, after);
    this.#awaited = slot;
    this.#silence();
    if (this.#fd >= 0) uringEnter(this.#fd, 1, 0, true);
    this.#listen();
    if (Atomics.load(words, sqRead) !== after) {
      // Refused before it was read, for want of memory or room: whatever it was, copy.
      Atomics.store(words, sqWrite, next);
      this.#awaited = -1;
      this.#readCompletions();
      return this.#undo(slot, -ENOBUFS);
    }
    this.#readCompletions();
    for (let tries = 0; this.#awaited >= 0 && tries < LATE_RESULT_TRIES; tries += 1) {
      uringEnter(this.#fd, 0, 1, true);
      this.#readCompletions();
    }
    assert(this.#awaited < 0, 'a send that never waits has its result at once');
    return this.#result;
  }

  /** Until #listen(): what the kernel does for our own calls wakes nobody. */
  #silence(): void {
    if (this.#wakeFd >= 0) Atomics.store(this.#words, this.#layout.cqFlags, CQ_EVENTFD_DISABLED);
  }

  #listen(): void {
    if (this.#wakeFd < 0) return;
    Atomics.store(this.#words, this.#layout.cqFlags, 0);
    this.#raiseWhenPending();
  }

  /** For notices that came while the eventfd was switched off, or before it was there. */
  #raiseWhenPending(): void {
    if (this.#isPending()) eventfdSignal(this.#wakeFd);
  }

  /** Whether the kernel has something that only uringEnter fetches. */
  #isPending(): boolean {
    const flags = Atomics.load(this.#words, this.#layout.sqFlags);
    return (flags & (SQ_TASKRUN | SQ_CQ_OVERFLOW)) !== 0;
  }

  #undo(slot: number, result: number): number {
    this.#freeSlot(slot);
    return result;
  }

  #readCompletions(): void {
    const words = this.#words;
    const { cqRead, cqWrite, cqMask, cqEntries } = this.#layout;
    const mask = words[cqMask]!;
    let read = words[cqRead]!;
    // Pairs with the kernel's store of its tail: the entries before it are complete.
    const end = Atomics.load(words, cqWrite);
    for (; read !== end; read = (read + 1) | 0) {
      const at = cqEntries + (read & mask) * (COMPLETION_BYTES / 4);
      this.#complete(words[at]!, words[at + 2]!, words[at + 3]!);
    }
    // Pairs with the kernel's load: these entries may be written again.
    Atomics.store(words, cqRead, read);
  }

  #complete(slot: number, result: number, flags: number): void {
    const ledger = this.#ledgers[slot];
    if ((flags & FLAG_NOTICE) !== 0) {
      const call = this.#callOf[slot]!;
      ledger?.complete(call, call, (result & NOTICE_COPIED) !== 0);
      this.#freeSlot(slot);
      return;
    }
    if (slot === this.#awaited) {
      this.#awaited = -1;
      this.#result = result;
    }
    // A notice of a call that took nothing may still come; it means nothing.
    if (result <= 0) this.#ledgers[slot] = null;
    if ((flags & FLAG_MORE) !== 0) return;
    const call = this.#callOf[slot]!;
    if (result > 0) ledger?.complete(call, call, false);
    this.#freeSlot(slot);
  }

  #takeSlot(): number {
    const freed = this.#free.pop();
    if (freed !== undefined) return freed;
    const slot = this.#ledgers.length;
    if (slot === RING_SLOTS_MAX) return -1;
    this.#ledgers.push(null);
    if (slot === this.#callOf.length) {
      const grown = new Uint32Array(slot * 2);
      grown.set(this.#callOf);
      this.#callOf = grown;
    }
    return slot;
  }

  #freeSlot(slot: number): void {
    this.#ledgers[slot] = null;
    this.#free.push(slot);
  }

  /** Sends from our own fd, which is no socket: a kernel that knows the operation says so. */
  #probe(): void {
    const slot = this.#takeSlot();
    const result = this.#submit(slot, this.#fd, new Uint8Array(1), 0, 1);
    if (result !== -ENOTSOCK) throw refusal('IORING_OP_SEND_ZC', result);
  }
}

function readLayout(parameters: DataView): RingLayout {
  const sq = (at: number): number => parameters.getUint32(SQ_OFFSETS + at, LITTLE);
  const cq = (at: number): number => parameters.getUint32(CQ_OFFSETS + at, LITTLE);
  const submissions = parameters.getUint32(0, LITTLE);
  const completions = parameters.getUint32(PARAMS_COMPLETIONS_OFFSET, LITTLE);
  assert(submissions === SUBMISSIONS && completions === COMPLETIONS, 'rings as we asked for');
  return {
    sqRead: sq(0) / 4,
    sqWrite: sq(4) / 4,
    sqMask: sq(8) / 4,
    sqFlags: sq(16) / 4,
    sqIndices: sq(24) / 4,
    cqRead: cq(0) / 4,
    cqWrite: cq(4) / 4,
    cqMask: cq(8) / 4,
    cqFlags: cq(24) / 4,
    cqEntries: cq(20) / 4,
    ringBytes: Math.max(sq(24) + submissions * 4, cq(20) + completions * COMPLETION_BYTES),
  };
}

const REASONS: Readonly<Record<number, string>> = {
  [EPERM]: 'a seccomp profile (containers) or the sysctl kernel.io_uring_disabled forbids it',
  [ENOSYS]: 'this kernel, or the seccomp profile of a container, has no io_uring',
  [ENOMEM]: 'no memory for its rings',
  [EOPNOTSUPP]: 'this Node.js has no external buffers',
  [EINVAL]: 'this kernel is older than Linux 6.2',
};

function refusal(what: string, result: number, cause?: unknown): MillraceError {
  const reason = REASONS[-result] ?? 'unexpected';
  return new MillraceError(
    'MR_OUTPUT_MECHANISM',
    `uringZerocopy: ${what} was refused with ${errnoName(result)}: ${reason}`,
    'use msgZerocopy, splice or copy: they need no io_uring',
    { cause },
  );
}
