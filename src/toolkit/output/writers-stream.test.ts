import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Prng } from '../base/prng.ts';
import { addonSkipReason } from '../sys/load.ts';
import {
  type Connection,
  connected,
  fillPattern,
  openFdCount,
  Pump,
  STREAMS,
} from './connections.test-data.ts';
import { CopyWriter } from './copy-writer.ts';
import { FileWriter } from './file-writer.ts';
import { ImmutableReclaim } from './immutable-reclaim.ts';
import {
  fileSource,
  type OutputSource,
  type PayloadSource,
  payloadSource,
} from './output-source.ts';
import type { OutputWriter } from './output-writer.ts';
import { SpliceWriter } from './splice-writer.ts';
import { TeePayload } from './tee-payload.ts';
import { TeeWriter } from './tee-writer.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 60_000 };

interface Material {
  readonly payload: PayloadSource;
  readonly tee: TeePayload;
  readonly file: OutputSource;
}

interface Candidate {
  readonly name: string;
  readonly isFile?: boolean;
  make(fd: number, material: Material): OutputWriter;
}

const IMMUTABLE = new ImmutableReclaim();

const CANDIDATES: readonly Candidate[] = [
  { name: 'copy', make: (fd) => new CopyWriter(fd) },
  { name: 'splice', make: (fd) => new SpliceWriter(fd, IMMUTABLE) },
  {
    name: 'splice, one slot',
    make: (fd) => new SpliceWriter(fd, IMMUTABLE, { pipeBytes: 4096 }),
  },
  {
    name: 'splice, 16 slots, no cork',
    make: (fd) => new SpliceWriter(fd, IMMUTABLE, { pipeBytes: 65_536, corkBytes: 0 }),
  },
  { name: 'tee', make: (fd, { tee }) => new TeeWriter(fd, tee) },
  { name: 'tee, no cork', make: (fd, { tee }) => new TeeWriter(fd, tee, { corkBytes: 0 }) },
  { name: 'file', isFile: true, make: (fd) => new FileWriter(fd) },
];

/** A payload that does not start on an OS page, in small master pipes, and the same as a file. */
function makeMaterial(t: TestContext, length: number): Material {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-output-'));
  const bytes = fillPattern(new Uint8Array(length + 123));
  const path = join(folder, 'payload');
  writeFileSync(path, bytes.subarray(123));
  const fileFd = openSync(path, 'r');
  const payload = payloadSource(bytes, 123);
  const tee = TeePayload.fill(payload, { chunkBytes: 32_768 });
  t.after(() => {
    tee.close();
    closeSync(fileFd);
    rmSync(folder, { recursive: true });
  });
  return { payload, tee, file: fileSource(fileFd) };
}

/** Ranges of the payload in a random order: mostly one behind the other, some from anywhere. */
function pumpRandomly(
  candidate: Candidate,
  connection: Connection,
  material: Material,
  prng: Prng,
  totalBytes: number,
): void {
  const { payload } = material;
  const writer = candidate.make(connection.fd, material);
  const pump = new Pump(writer, connection, prng);
  let offset = 0;
  for (let offered = 0; offered < totalBytes; ) {
    if (offset === payload.length || prng.chance(0.2)) {
      offset = prng.chance(0.5) ? 0 : prng.below(payload.length);
    }
    const left = payload.length - offset;
    const lengthMax = [10, 4097, 65_536, left][prng.below(4)]!;
    const length = 1 + prng.below(Math.min(left, lengthMax));
    const start = payload.start + offset;
    const expected = payload.bytes.subarray(start, start + length);
    const source = candidate.isFile === true ? material.file : payload;
    pump.offer({ source, offset, length, expected });
    offset += length;
    offered += length;
  }
  pump.finish();
  writer.close();
  writer.close();
}

for (const candidate of CANDIDATES) {
  for (const stream of STREAMS) {
    test(`${candidate.name} on ${stream}: each byte once, in order`, needsAddon, (t) => {
      const seed = (Math.random() * 2 ** 32) >>> 0;
      t.diagnostic(`seed ${seed}`);
      const prng = new Prng(seed);
      const material = makeMaterial(t, 200_000);
      const fdCount = openFdCount();
      for (const sendBufferBytes of [undefined, 4096]) {
        const connection = connected(t, stream, { sendBufferBytes });
        const totalBytes = sendBufferBytes === undefined ? 3_000_000 : 150_000;
        pumpRandomly(candidate, connection, material, prng, totalBytes);
        connection.close();
      }
      assert.equal(openFdCount(), fdCount);
    });
  }
}
