/**
 * Forwarding while the disk is full: what the journal took in goes out, and nothing stands still.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { chooseSeed, ForwardRig } from './support/forward-server-rig.ts';

const skip = addonSkipReason() ?? false;
const DISK_MIB = 48;
const MIB = 1024 * 1024;

/** A small file system of its own, or null where we may not make one. */
function smallDisk(context: TestContext): string | null {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-disk-'));
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  const options = ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'none', disk];
  const isMounted = spawnSync('mount', options).status === 0;
  context.after(() => {
    if (isMounted) spawnSync('umount', ['-l', disk]);
    rmSync(folder, { recursive: true, force: true });
  });
  return isMounted ? disk : null;
}

/**
 * Takes all the room there is but a MiB. The server takes some of it meanwhile, so the end is where
 * the disk says that it is full, not what was free before.
 */
function fill(path: string): void {
  const fd = openSync(path, 'w');
  const piece = new Uint8Array(MIB / 4);
  let bytes = 0;
  try {
    for (;;) bytes += writeSync(fd, piece);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
  ftruncateSync(fd, Math.max(0, bytes - MIB));
  closeSync(fd);
}

test('a full disk, and room again', { skip }, async (context) => {
  const disk = smallDisk(context);
  if (disk === null) {
    context.skip('needs the right to mount a tmpfs');
    return;
  }
  const rig = await ForwardRig.open(context, {
    seed: chooseSeed(context),
    folder: disk,
    bytesPerSecond: 1_000_000,
    destinations: ['plain', 'merged'],
    config: { journal: { segmentBytes: MIB } },
    forward: (to) => ({
      destinations: [to('plain'), to('merged', { connections: 'merged', resend: 'none' })],
    }),
  });
  const filler = join(disk, 'filler');
  rig.startExporters();
  await rig.until('records flow', () => rig.destination('plain').records > 500);
  fill(filler);
  await rig.until('the journal drops blocks', async () => {
    return (await rig.server.status()).intake.dropped.journal_full! > 0;
  });
  rmSync(filler);
  const { records } = rig.destination('plain');
  await rig.until('records flow again', () => rig.destination('plain').records > records + 500);
  const report = await rig.finish();
  const truth = rig.truth(false, true);
  const plain = rig.judge(['plain'], { truth }, context);
  assert.equal(plain.missing, 0);
  rig.judge(['merged'], { truth, connections: 'merged', resend: 'none' }, context);
  for (const { name, received } of report.channels) assert.equal(received, truth.records, name);
});
