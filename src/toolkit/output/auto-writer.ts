/**
 * AutoWriter: the writer that openOutput() has chosen, and copies for what it would only cost.
 *
 * WHY         A connection sends headers of 40 bytes and pages of 256 KiB. The caller offers both
 *             to one writer; each write goes the way that is cheaper for its size and its source.
 * PER WRITE   a file            FileWriter, made when the first one comes
 *             memory            what was chosen; a copy, when nothing is pending and it is too
 *                               short, alone or with what gathers in a turn (choose-sizes.ts); or
 *                               when the chosen way cannot send it (a page, where a prepared
 *                               payload or a file was announced)
 *             A turn is what is written from one flush() to the next, a full socket aside.
 * INVARIANTS  1. order: another way is taken only when flush() of the chosen one says that nothing
 *             is pending  2. a page is lent by the chosen writer alone; copies lend nothing
 *             3. bytes that were copied in between make a policy that counts by the socket
 *             (ackedBytes, peerQueue) too careful, never too bold; applicationAck counts the stream
 *             itself, so short writes are not copied there (choose.ts gives it copyBelowBytes 0),
 *             and otherBytes, of files, are taken off what the peer has consumed.
 * REFUSED     switching the mechanism while the connection lives (a writer that finds its way
 *             copied, or its pipe refused, falls back by itself and counts it as degraded).
 */
import { EAGAIN, EBADF } from '../sys/errno.ts';
import type { OutputChoice } from './choose.ts';
import type { SocketClass } from './classify.ts';
import { CopyWriter } from './copy-writer.ts';
import { FileWriter } from './file-writer.ts';
import type { OutputSource } from './output-source.ts';
import {
  type Mechanism,
  makeCounts,
  type OutputCounts,
  type OutputWriter,
} from './output-writer.ts';
import type { TeePayload } from './tee-payload.ts';
import { TurnMeter } from './turn-meter.ts';

export interface AutoWriterParts {
  readonly fd: number;
  /** The way that was chosen; owned by the AutoWriter from now on. */
  readonly writer: OutputWriter;
  readonly choice: OutputChoice;
  readonly socket: SocketClass;
  /** What a chosen `tee` sends. */
  readonly tee?: TeePayload | undefined;
}

export class AutoWriter implements OutputWriter {
  readonly fd: number;
  /** What was chosen, why, and what was not. */
  readonly choice: OutputChoice;
  readonly socket: SocketClass;
  readonly #writer: OutputWriter;
  readonly #copy: OutputWriter;
  #file: OutputWriter | null = null;
  /** What the chosen way can send. */
  readonly #takesFiles: boolean;
  readonly #takesPages: boolean;
  readonly #takesPayloads: boolean;
  /** The only payload that it can send, when it takes no others. */
  readonly #onlyPayload: OutputSource | null;
  readonly #copyBelowBytes: number;
  readonly #meter: TurnMeter;
  /** acceptedBytes of the chosen way and of copies when the turn began. */
  #turnStartBytes = 0;
  #turnStartCopiedBytes = 0;
  /** The last write was not accepted whole. */
  #isCut = false;
  #isClosed = false;
  readonly #sum: OutputCounts = makeCounts();

  /** Use openOutput(). */
  constructor({ fd, writer, choice, socket, tee }: AutoWriterParts) {
    const { mechanism } = writer;
    this.fd = fd;
    this.choice = choice;
    this.socket = socket;
    this.#writer = writer;
    this.#copy = mechanism === 'copy' ? writer : new CopyWriter(fd);
    this.#takesFiles = mechanism === 'file' || mechanism === 'null';
    this.#takesPages = mechanism !== 'file' && choice.reclaim !== 'immutable';
    this.#takesPayloads = mechanism !== 'file' && mechanism !== 'tee';
    this.#onlyPayload = mechanism === 'tee' ? (tee?.source ?? null) : null;
    this.#copyBelowBytes = choice.copyBelowBytes;
    this.#meter = new TurnMeter(choice.turnBelowBytes);
  }

  /** The way that was chosen; `counts.copiedBytes` says how much went another way. */
  get mechanism(): Mechanism {
    return this.#writer.mechanism;
  }

  /** Of all ways together, as of now. */
  get counts(): Readonly<OutputCounts> {
    const sum = this.#sum;
    for (const key of COUNT_KEYS) {
      sum[key] = this.#writer.counts[key];
      if (this.#copy !== this.#writer) sum[key] += this.#copy.counts[key];
      if (this.#file !== null) sum[key] += this.#file.counts[key];
    }
    return sum;
  }

  /** Bytes that went another way than the chosen one. */
  get otherBytes(): number {
    let bytes = 0;
    if (this.#copy !== this.#writer) bytes += this.#copy.counts.sentBytes;
    if (this.#file !== null) bytes += this.#file.counts.sentBytes;
    return bytes;
  }

  get pendingBytes(): number {
    return this.#writer.pendingBytes;
  }

  get flightCount(): number {
    return this.#writer.flightCount;
  }

  /** As OutputWriter.write; -ENODATA: the file of the source ends at or before `offset`. */
  write(source: OutputSource, offset: number, length: number): number {
    if (this.#isClosed) return -EBADF;
    const chosen = this.#writer;
    if (this.#canSend(source) && this.#isWorthReference(length)) {
      const accepted = chosen.write(source, offset, length);
      if (accepted < length) this.#isCut = true;
      return accepted;
    }
    if (chosen.pendingBytes > 0) {
      const pending = this.flush();
      if (pending !== 0) return pending > 0 ? -EAGAIN : pending;
    }
    const other = source.kind === 'file' ? this.#fileWriter() : this.#copy;
    const accepted = other.write(source, offset, length);
    if (accepted < length) this.#isCut = true;
    return accepted;
  }

  flush(): number {
    this.#endTurn();
    return this.#writer.flush();
  }

  #endTurn(): void {
    const accepted = this.#writer.counts.acceptedBytes;
    const copied = this.#copy.counts.acceptedBytes;
    const gathered = accepted - this.#turnStartBytes;
    const isCut = this.#isCut;
    this.#isCut = false;
    // A full socket ends no turn that may still become worth it: the caller had more.
    if (isCut && gathered < this.choice.turnBelowBytes) return;
    this.#meter.endTurn(gathered, copied - this.#turnStartCopiedBytes);
    this.#turnStartBytes = accepted;
    this.#turnStartCopiedBytes = copied;
  }

  reclaim(): number {
    return this.#writer.reclaim();
  }

  close(): void {
    this.#isClosed = true;
    this.#writer.close();
  }

  #canSend(source: OutputSource): boolean {
    if (source.kind === 'page') return this.#takesPages;
    if (source.kind === 'file') return this.#takesFiles;
    return this.#takesPayloads || source === this.#onlyPayload;
  }

  #isWorthReference(length: number): boolean {
    const meter = this.#meter;
    if (length >= this.#copyBelowBytes) {
      if (meter.isGathering) return true;
      const copied = this.#copy.counts.acceptedBytes - this.#turnStartCopiedBytes;
      if (meter.isWorthReference(length, copied)) return true;
    }
    // Nothing may overtake what is pending.
    return this.#writer.pendingBytes > 0;
  }

  #fileWriter(): OutputWriter {
    this.#file ??= new FileWriter(this.fd);
    return this.#file;
  }
}

const COUNT_KEYS = Object.keys(makeCounts()) as readonly (keyof OutputCounts)[];
