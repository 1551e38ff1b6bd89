import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertNone } from '../tidy/assert-none.ts';
import { guardSkipReason } from './guarded-child.ts';
import { CELLS } from './matrix-cells.ts';
import { expectedOf } from './matrix-expected.ts';
import { problemsOf, runRow, THREADS } from './matrix-run.ts';
import { installedNode } from './newest-node.ts';

const newest = installedNode();
const missing = newest === null && 'node dist/test/guard/newest-node.js installs and runs it';
const options = { skip: guardSkipReason() || missing };

for (const [tier, exactness] of expectedOf(newest?.major ?? 0)) {
  for (const thread of THREADS) {
    test(`Node.js ${newest?.version ?? ''}: ${tier} in ${thread}`, options, async () => {
      const row = { tier, thread, node: newest!.path, major: newest!.major };
      const { outcomes } = await runRow(row);
      assert.equal(outcomes.length, CELLS.length);
      assertNone(outcomes.flatMap((one) => problemsOf(one, row, exactness)));
    });
  }
}
