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
 * INVARIANTS  1. order: another way is taken only when flush() of the chosen one says that nothing
 *             is pending  2. a page is lent by the chosen writer alone; copies lend nothing
 *             3. bytes that were copied in between make a policy that counts by the socket
 *             (ackedBytes, peerQueue) too careful, never too bold; applicationAck counts the stream
 *             itself, so short writes are not copied there (choose.ts gives it copyBelowBytes 0),
 *             and otherBytes, of files, are taken off what the peer has consumed.
 * REFUSED     switching the mechanism while the connection lives (a writer that finds its way
 *             copied, or its pipe refused, falls back by itself and counts it as degraded).
 */
import { EAGAIN } from '../sys/errno.ts';
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
  readonly #tee: TeePayload | null;
  readonly #meter: TurnMeter;
  readonly #copy: OutputWriter;
  #file: OutputWriter | null = null;
  readonly #sum: OutputCounts = makeCounts();

  /** Use openOutput(). */
  constructor({ fd, writer, choice, socket, tee }: AutoWriterParts) {
    this.fd = fd;
    this.choice = choice;
    this.socket = socket;
    this.#writer = writer;
    this.#tee = tee ?? null;
    this.#meter = new TurnMeter(choice.turnBelowBytes);
    this.#copy = writer.mechanism === 'copy' ? writer : new CopyWriter(fd);
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
      if (this.#file !== null && this.#file !== this.#writer) sum[key] += this.#file.counts[key];
    }
    return sum;
  }

  /** Bytes that went another way than the chosen one. */
  get otherBytes(): number {
    let bytes = 0;
    if (this.#copy !== this.#writer) bytes += this.#copy.counts.sentBytes;
    if (this.#file !== null && this.#file !== this.#writer) bytes += this.#file.counts.sentBytes;
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
    const chosen = this.#writer;
    const writer = this.#wayOf(source, length);
    if (writer !== chosen && chosen.pendingBytes > 0) {
      const pending = this.flush();
      if (pending !== 0) return pending > 0 ? -EAGAIN : pending;
    }
    const accepted = writer.write(source, offset, length);
    if (accepted > 0) {
      if (writer === chosen) this.#meter.addReference(accepted);
      else this.#meter.addCopy(accepted);
    }
    return accepted;
  }

  flush(): number {
    this.#meter.endTurn();
    return this.#writer.flush();
  }

  reclaim(): number {
    return this.#writer.reclaim();
  }

  close(): void {
    this.#writer.close();
  }

  #wayOf(source: OutputSource, length: number): OutputWriter {
    const chosen = this.#writer;
    if (source.kind === 'file') return this.#fileWriter();
    if (chosen.mechanism === 'file') return this.#copy;
    if (chosen.mechanism === 'tee' && source !== this.#tee?.source) return this.#copy;
    const isImmutable = this.choice.reclaim === 'immutable';
    if (isImmutable && source.kind === 'page') return this.#copy;
    // Nothing may overtake what is pending.
    if (chosen.pendingBytes > 0) return chosen;
    if (length < this.choice.copyBelowBytes) return this.#copy;
    return this.#meter.isWorthReference(length) ? chosen : this.#copy;
  }

  #fileWriter(): OutputWriter {
    const { mechanism } = this.#writer;
    if (mechanism === 'file' || mechanism === 'null') return this.#writer;
    this.#file ??= new FileWriter(this.fd);
    return this.#file;
  }
}

const COUNT_KEYS = Object.keys(makeCounts()) as readonly (keyof OutputCounts)[];
