/**
 * peerQueue with its questions in the wrong order: bytes that arrive between them count as read.
 * Reader and writer must meet at the right moment, so it takes some runs; it must be caught.
 */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { SpliceWriter } from '../../src/toolkit/output/index.ts';
import { addonSkipReason } from '../../src/toolkit/sys/index.ts';
import { ReversedReclaim, race } from '../support/race.ts';

const RUNS_MAX = 200;

const skip = addonSkipReason() || (availableParallelism() === 1 && 'needs two CPUs');

test('the wrong order of the questions is caught', { skip }, async (t) => {
  let corrupt = 0;
  for (let run = 0; run < RUNS_MAX && corrupt === 0; run++) {
    let policy: ReversedReclaim | null = null;
    const result = await race(
      'tcp4',
      (fd) => {
        policy = new ReversedReclaim(fd);
        return { writer: new SpliceWriter(fd, policy, { corkBytes: 0 }) };
      },
      run,
    );
    (policy as ReversedReclaim | null)?.close();
    corrupt += result.corrupt;
    t.diagnostic(`${result.corrupt} of ${result.pieces} pages`);
  }
  assert.ok(corrupt > 0, 'it was not caught');
});
