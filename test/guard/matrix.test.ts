import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertNone } from '../tidy/assert-none.ts';
import { guardSkipReason } from './guarded-child.ts';
import { CELLS } from './matrix-cells.ts';
import { expectedOf } from './matrix-expected.ts';
import { MAJOR, problemsOf, runRow, THREADS } from './matrix-run.ts';

const options = { skip: guardSkipReason() };

for (const [tier, exactness] of expectedOf(MAJOR)) {
  for (const thread of THREADS) {
    test(`${tier} in ${thread}: every culprit by name, file and line`, options, async () => {
      const row = { tier, thread };
      const { outcomes } = await runRow(row);
      assert.equal(outcomes.length, CELLS.length);
      assertNone(outcomes.flatMap((one) => problemsOf(one, row, exactness)));
    });
  }
}
