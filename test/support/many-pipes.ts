/**
 * More connections than a user's pipes may have room for: a script for a user without privileges.
 * Prints a PipesReport as JSON. Source: pipe(7), /proc/sys/fs/pipe-user-pages-soft.
 */
import { fileURLToPath } from 'node:url';
import { closeFd } from '../../src/toolkit/sys/index.ts';
import { offersOn } from './output-offers.ts';
import { connectPath, FdReader } from './output-rig.ts';
import { type OpenSession, openSession } from './output-session.ts';

export const PIPES_SCRIPT = fileURLToPath(import.meta.url);

export interface PipesReport {
  readonly connections: number;
  /** Of them: those whose pipe was small or refused. */
  readonly degraded: number;
  readonly pieces: number;
  readonly corrupt: number;
}

/** Most pipes are of 512 KiB, 128 OS pages; the limit is 16,384 of them, then two a pipe. */
const CONNECTIONS = 260;
const SHAPE = { messageBytes: 16_384, start: 0 };
const BYTES = 65_536;

async function main(): Promise<PipesReport> {
  const offers = offersOn('unix').filter(({ name }) => /^(splice|tee)/.test(name));
  const lives: { opened: OpenSession; writer: number; reader: FdReader }[] = [];
  for (let connection = 0; connection < CONNECTIONS; connection++) {
    const { writer, reader: fd } = connectPath('unix');
    const reader = new FdReader(fd);
    const shape = { ...SHAPE, connection };
    const offer = offers[connection % offers.length]!;
    const opened = openSession(offer, writer, reader, { shape, bytes: BYTES });
    opened.session.pump(BYTES);
    lives.push({ opened, writer, reader });
  }
  let [degraded, pieces, corrupt] = [0, 0, 0];
  for (const { opened, writer, reader } of lives) {
    const { session, open } = opened;
    for (let round = 0; round < 8; round++) {
      while ((await session.take(1 << 20)) > 0) session.flush();
      open.consumed(session.findings.bytes);
      session.writer.reclaim();
      if (round < 7) session.pump(BYTES);
    }
    if (session.writer.counts.degradedCount > 0) degraded++;
    pieces += session.findings.pieces;
    corrupt += session.findings.corrupt;
    open.close();
    reader.close();
    closeFd(writer);
  }
  return { connections: CONNECTIONS, degraded, pieces, corrupt };
}

if (process.argv[1] === PIPES_SCRIPT) {
  process.stdout.write(JSON.stringify(await main()), () => process.exit(0));
}
