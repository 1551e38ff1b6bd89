/**
 * Stream file: writes the bytes of a simulated connection into a file or to standard output.
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import {
  DEFAULT_START_SECONDS,
  RecordStream,
  type RecordStreamOptions,
  type SendResult,
  STREAM_BUFFER_BYTES,
} from '../simulator/index.ts';
import { monotonicMs } from '../toolkit/base/clock.ts';
import { MillraceError } from '../toolkit/base/errors.ts';

export interface StreamFileOptions {
  /** `-` is standard output. */
  readonly path: string;
  readonly stream: RecordStreamOptions;
  readonly records: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly onProgress: (records: number) => void;
}

type Write = (bytes: Uint8Array) => Promise<void>;

/** Writes whole records until one of the limits; the totals are those of what was written. */
export async function writeStreamFile(options: StreamFileOptions): Promise<SendResult> {
  const { path } = options;
  if (path === '-') return writeStream(options, writeToStdout);
  try {
    await using file = await open(path, 'w');
    return await writeStream(options, async (bytes) => {
      for (let at = 0; at < bytes.length; ) {
        at += (await file.write(bytes, at, bytes.length - at)).bytesWritten;
      }
    });
  } catch (cause) {
    if (!(cause instanceof Error) || !('syscall' in cause)) throw cause;
    throw new MillraceError(
      'MR_OUTPUT',
      `cannot write ${path}: ${cause.message}`,
      'check the path, its permissions and the room on the disk',
      { cause },
    );
  }
}

async function writeStream(options: StreamFileOptions, write: Write): Promise<SendResult> {
  const { records, seconds, signal, onProgress } = options;
  const stream = new RecordStream(options.stream);
  const hash = createHash('sha256');
  const buffer = new Uint8Array(STREAM_BUFFER_BYTES);
  const startMs = monotonicMs();
  const isDone = (): boolean => {
    return stream.totals.records >= records || monotonicMs() - startMs >= seconds * 1000;
  };
  const put = async (length: number): Promise<void> => {
    const bytes = buffer.subarray(0, length);
    hash.update(bytes);
    await write(bytes);
    onProgress(stream.totals.records);
    // Writes to a pipe are done at once: signals need a turn of the event loop.
    await turn();
  };
  while (!signal.aborted && !isDone()) {
    await put(stream.fill(buffer, 0, buffer.length, records - stream.totals.records));
  }
  const isWhole = !signal.aborted;
  if (isWhole && (options.stream.malformedRatio ?? 0) > 0) await put(stream.fillTruncated(buffer));
  const totals = stream.totals.toJson();
  return {
    seed: options.stream.seed,
    startSeconds: options.stream.startSeconds ?? DEFAULT_START_SECONDS,
    complete: isWhole,
    elapsedMs: Math.round(monotonicMs() - startMs),
    ...totals,
    connections: [
      {
        localAddress: '',
        localPort: 0,
        records: totals.records,
        bytes: totals.bytes,
        sha256: hash.digest('hex'),
      },
    ],
  };
}

/** Resolves when the bytes are out of the buffer, which is filled again. */
function writeToStdout(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => {
      if (error === undefined || error === null) resolve();
      else reject(error);
    });
  });
}
