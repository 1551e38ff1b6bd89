/**
 * Every system call of every writer fails: the end is a clean error or a dearer way, the bytes that
 * left are right, and nothing leaks. A sample of the places; all of them in test/stress.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { failEverywhere } from './support/fail-everywhere.ts';
import { PIPES_SCRIPT, type PipesReport } from './support/many-pipes.ts';
import { offersOn } from './support/output-offers.ts';
import { isRoot } from './support/output-rig.ts';

const needsAddon = { skip: addonSkipReason() };
/** A user without privileges: root has no limit of pipes. */
const NOBODY = 65_534;
const PIPE_PAGES_DEFAULT = 16_384;

for (const path of ['tcp4', 'unix'] as const) {
  test(`${path}: the failure of any call of any writer is survived`, needsAddon, async (t) => {
    const offers = offersOn(path).filter(
      ({ name }) => !/uncorked|changing|^auto( payload| applicationAck)?$/.test(name),
    );
    for (const offer of offers) {
      t.diagnostic(`${offer.name}: ${await failEverywhere(offer, path, false)}`);
    }
  });
}

test(
  'more pipes than a user may have: small ones, copies, and right bytes',
  needsAddon,
  async (t) => {
    const options = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
    const command = promisify(execFile)(process.execPath, [PIPES_SCRIPT], { ...options, cwd: '/' });
    const answer = await command.catch((error: { stderr?: string }) => {
      // The folder of this checkout may not be theirs to read.
      if (isRoot && /EACCES|permission denied/i.test(error.stderr ?? '')) return null;
      throw error;
    });
    if (answer === null) {
      t.skip('nobody cannot read this folder');
      return;
    }
    const { connections, degraded, pieces, corrupt } = JSON.parse(answer.stdout) as PipesReport;
    t.diagnostic(`${degraded} of ${connections} connections degraded, ${pieces} pages`);
    assert.equal(corrupt, 0);
    assert.ok(pieces > 0);
    const limit = Number(readFileSync('/proc/sys/fs/pipe-user-pages-soft', 'utf8'));
    if (limit > 0 && limit <= PIPE_PAGES_DEFAULT) assert.ok(degraded > 0);
  },
);
