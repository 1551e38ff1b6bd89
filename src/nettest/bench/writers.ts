/**
 * Writers of the sender agent: one per connection, all of them sending from the same pool.
 *
 * WHY         Every mechanism sends the same bytes from the same memory (or the same bytes of a
 *             file), which never change: so the policy is `immutable`, and what is compared is the
 *             way to the socket alone.
 */
import { closeSync, openSync } from 'node:fs';
import {
  CopyWriter,
  FileWriter,
  fileSource,
  ImmutableReclaim,
  MsgZerocopyWriter,
  NullWriter,
  type OutputSource,
  type OutputWriter,
  openOutput,
  type PayloadSource,
  payloadSource,
  SpliceWriter,
  TeePayload,
  TeeWriter,
  UringZerocopyWriter,
} from '../../toolkit/output/index.ts';
import { PagePool } from '../../toolkit/pages/index.ts';
import { POOL_BYTES, type SendCommand } from './agent-protocol.ts';

/** The mechanism is measured also where the kernel copies in the end. */
const NEVER_GIVE_UP = { copiedCallsMax: Number.POSITIVE_INFINITY };

/** Memory in one huge page where the kernel grants it, filled once. */
function makePayload(): PayloadSource {
  const pool = PagePool.create({ pageCount: 1, pageBytes: POOL_BYTES, huge: true, prefault: true });
  const words = new Uint32Array(pool.bytes.buffer, pool.bytes.byteOffset, POOL_BYTES / 4);
  for (let word = 0; word < words.length; word++) words[word] = Math.imul(word, 0x9e37_79b1);
  return payloadSource(pool.bytes);
}

/** What the connections of one run share. */
export class WriterSet {
  readonly source: OutputSource;
  readonly #make: (fd: number) => OutputWriter;
  readonly #end: () => void;

  private constructor(
    source: OutputSource,
    make: (fd: number) => OutputWriter,
    end: () => void = () => {},
  ) {
    this.source = source;
    this.#make = make;
    this.#end = end;
  }

  /** A writer for a connected socket; throws MR_OUTPUT_MECHANISM where it is not offered. */
  make(fd: number): OutputWriter {
    return this.#make(fd);
  }

  close(): void {
    this.#end();
  }

  static #payload: PayloadSource | null = null;

  static get payload(): PayloadSource {
    WriterSet.#payload ??= makePayload();
    return WriterSet.#payload;
  }

  static open({ mechanism, fanOut, file }: SendCommand): WriterSet {
    const { payload } = WriterSet;
    if (mechanism === 'copy') return new WriterSet(payload, (fd) => new CopyWriter(fd));
    if (mechanism === 'null') return new WriterSet(payload, () => new NullWriter());
    if (mechanism === 'splice') {
      return new WriterSet(payload, (fd) => new SpliceWriter(fd, new ImmutableReclaim()));
    }
    if (mechanism === 'msgZerocopy') {
      return new WriterSet(payload, (fd) => new MsgZerocopyWriter(fd, NEVER_GIVE_UP));
    }
    if (mechanism === 'uringZerocopy') {
      return new WriterSet(payload, (fd) => new UringZerocopyWriter(fd, NEVER_GIVE_UP));
    }
    if (mechanism === 'auto' && fanOut === 1) {
      return new WriterSet(payload, (fd) => openOutput(fd, { payload: 'payload' }));
    }
    if (mechanism === 'tee' || mechanism === 'auto') {
      const tee = TeePayload.fill(payload);
      const make = (fd: number): OutputWriter =>
        mechanism === 'tee' ? new TeeWriter(fd, tee) : openOutput(fd, { tee });
      return new WriterSet(payload, make, () => tee.close());
    }
    const fileFd = openSync(file, 'r');
    return new WriterSet(
      fileSource(fileFd),
      (fd) => new FileWriter(fd),
      () => closeSync(fileFd),
    );
  }
}
