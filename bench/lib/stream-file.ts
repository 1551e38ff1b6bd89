/**
 * The stream that the pipeline bench sends: made once by the simulator, kept in build/bench.
 *
 * One seed, one byte stream: the file's name has every option, so a file that is there is the right
 * one (build/ is emptied when the simulator changes what it makes).
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { namedMix, RecordStream, SubscriberPool } from '../../src/simulator/index.ts';
import { ROOT } from './peers.ts';

const BUFFER_BYTES = 1 << 20;

export interface StreamFile {
  readonly path: string;
  readonly records: number;
  readonly bytesPerRecord: number;
}

export interface StreamOptions {
  readonly records: number;
  readonly subscribers: number;
  readonly mix: string;
  readonly seed: number;
}

/** Makes the file when it is not there; some 2 s per million records. */
export function prepareStream(options: StreamOptions): StreamFile {
  const { records, subscribers, mix, seed } = options;
  const folder = join(ROOT, 'build/bench');
  const path = join(folder, `${mix}-${seed}-${subscribers}-${records}.rdr`);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    const partial = `${path}.${process.pid}`;
    writeStream(partial, options);
    renameSync(partial, path);
  }
  return { path, records, bytesPerRecord: statSync(path).size / records };
}

function writeStream(path: string, options: StreamOptions): void {
  const stream = new RecordStream({
    seed: options.seed,
    mix: namedMix(options.mix),
    subscribers: new SubscriberPool(options.subscribers),
  });
  const buffer = new Uint8Array(BUFFER_BYTES);
  const fd = openSync(path, 'w');
  try {
    for (let left = options.records; left > 0; left = options.records - stream.totals.records) {
      const length = stream.fill(buffer, 0, buffer.length, left);
      for (let done = 0; done < length; ) done += writeSync(fd, buffer, done, length - done);
    }
  } finally {
    closeSync(fd);
  }
}
