/**
 * Kernels of SpscByteRing: where the next message is, and its header.
 *
 * WHY          As spsc-kernel.ts, of which these are made: messages only add a header, and padding
 *              where one does not fit at the end of the array.
 * LAYOUT       spsc-layout.ts; `ints` are the int32 words of the messages' array.
 * OWNERSHIP    writer: spscClaimMessage, spscCommitMessage. Reader: spscPeekMessage.
 * INVARIANTS   1. writeSeq stands between messages: who sees a header sees the whole message
 *              2. a message does not wrap  3. padding is followed by a message at the start of the
 *              array, or by nothing yet, never by padding (a message is half of the array at most).
 * MEMORY ORDER that of spsc-kernel.ts; headers are payload.
 * PROGRESS     wait-free.
 * REFUSED      a length that is written last to publish one message (an atomic store for each, and
 *              the array to be zeroed); messages in two parts (no view without a copy).
 * SOURCE       Agrona's OneToOneRingBuffer (padding at the wrap, 8-byte headers).
 */
import { spscAvailable, spscCommit, spscRelease, spscRoom } from './spsc-kernel.ts';
import {
  MESSAGE_ALIGN_BYTES,
  MESSAGE_HEADER_BYTES,
  MESSAGE_LENGTH_WORD,
  MESSAGE_PADDING,
  MESSAGE_TYPE_WORD,
  SPSC_NEXT_READ_WORD,
  SPSC_NEXT_WRITE_WORD,
} from './spsc-layout.ts';

// V8 loads an imported binding at each use, and folds a constant of the module itself.
const NEXT_READ = SPSC_NEXT_READ_WORD;
const NEXT_WRITE = SPSC_NEXT_WRITE_WORD;
const HEADER_BYTES = MESSAGE_HEADER_BYTES;
const ALIGN_BYTES = MESSAGE_ALIGN_BYTES;

/** Answer where there is no message, or no room. */
const NONE = -1;

/** Bytes that a message takes in the array. */
export function messageBytes(length: number): number {
  return (HEADER_BYTES + length + ALIGN_BYTES - 1) & -ALIGN_BYTES;
}

/**
 * Writer: where a message of `length` bytes can begin, in bytes from the array's start; -1: full.
 */
export function spscClaimMessage(words: Int32Array, ints: Int32Array, length: number): number {
  const capacity = ints.length * 4;
  const at = words[NEXT_WRITE]! & (capacity - 1);
  const needed = messageBytes(length);
  const toEnd = capacity - at;
  const wanted = needed <= toEnd ? needed : toEnd + needed;
  const room = spscRoom(words, wanted);
  if (room < wanted) return NONE;
  if (needed <= toEnd) return at;
  ints[(at >> 2) + MESSAGE_LENGTH_WORD] = MESSAGE_PADDING;
  spscCommit(words, toEnd);
  return 0;
}

/** Writer: the message that was claimed `at` is written. */
export function spscCommitMessage(
  words: Int32Array,
  ints: Int32Array,
  at: number,
  length: number,
  type: number,
): void {
  ints[(at >> 2) + MESSAGE_LENGTH_WORD] = length;
  ints[(at >> 2) + MESSAGE_TYPE_WORD] = type;
  spscCommit(words, messageBytes(length));
}

/** Reader: where the next message begins, in bytes from the array's start; -1: empty. */
export function spscPeekMessage(words: Int32Array, ints: Int32Array): number {
  const available = spscAvailable(words, 1);
  if (available < 1) return NONE;
  const capacity = ints.length * 4;
  const at = words[NEXT_READ]! & (capacity - 1);
  if (ints[(at >> 2) + MESSAGE_LENGTH_WORD] !== MESSAGE_PADDING) return at;
  spscRelease(words, capacity - at);
  const behind = spscAvailable(words, 1);
  return behind < 1 ? NONE : 0;
}
