import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { filterWarnings, parseFilter } from '../src/rdr/index.ts';
import { makeConfig } from '../src/server/config.ts';
import { forwardOptions } from '../src/server/forward-plan.ts';
import { ROOT } from './tidy/sources.ts';

const PAGE = readFileSync(join(ROOT, 'docs/guides/forwarding.md'), 'utf8');

test('every configuration of the guide is one, and its filters parse', () => {
  const blocks = [...PAGE.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map((match) => match[1]!);
  assert.ok(blocks.length >= 2);
  for (const block of blocks) {
    const { channels } = forwardOptions(makeConfig(parse(block)));
    assert.ok(channels.length > 0);
    for (const { filter } of channels) assert.deepEqual(filterWarnings(parseFilter(filter)), []);
  }
});

test('the lines of an SCE become what the guide says', () => {
  const blocks = [...PAGE.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map((match) => match[1]!);
  const pair = blocks.find((block) => block.includes('category-1-pair'));
  const { channels } = forwardOptions(makeConfig(parse(pair!)));
  const shape = channels.map(({ destinations, mode, name }) => [
    name,
    mode,
    destinations.map(({ host, priority }) => `${host} ${priority}`),
  ]);
  assert.deepEqual(shape, [
    ['prepaid', 'single', ['10.1.2.7 100']],
    ['category-1-pair', 'redundancy', ['10.1.1.5 100', '10.1.1.6 50']],
  ]);
  assert.ok(channels.every(({ filter }) => filter.includes('tag in (')));
});

test('the filters of its commands parse, and mean what they say', () => {
  const filters = [...PAGE.matchAll(/--filter "([^"]*)"/g)].map((match) => match[1]!);
  const whole = filters.filter((text) => !text.includes('...'));
  assert.ok(whole.length >= 2);
  for (const text of whole) assert.deepEqual(filterWarnings(parseFilter(text)), [], text);
});
