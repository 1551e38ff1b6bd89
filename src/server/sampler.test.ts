import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutFds } from '../../test/support/without-fds.ts';
import { processUse } from './sampler.ts';

test('EMFILE: the server goes on, its memory is told as the most that it was', () => {
  const { rssBytes } = processUse();
  let blind = 0;
  withoutFds(() => {
    blind = processUse().rssBytes;
  });
  assert.ok(rssBytes > 0 && blind >= rssBytes, `${blind} bytes, ${rssBytes} before`);
});
