import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { MillraceError } from '../toolkit/base/errors.ts';
import { makeConfig, readConfigFile } from './config.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-config-'));
after(() => rmSync(folder, { recursive: true }));

function file(text: string): string {
  const path = join(folder, 'millrace.yaml');
  writeFileSync(path, text);
  return path;
}

/** Throws the code, and a message that holds every part. */
function refuses(run: () => unknown, code: string, ...parts: string[]): void {
  assert.throws(run, (error: MillraceError) => {
    for (const part of parts) assert.ok(error.message.includes(part), error.message);
    return error.code === code && error.remedy !== '';
  });
}

test('the defaults are those of the reference page', () => {
  const config = makeConfig({});
  assert.deepEqual(config.listen, ['127.0.0.1:33000']);
  assert.equal(config.http, '127.0.0.1:8033');
  assert.equal(config.data, './millrace-data');
  assert.deepEqual(config.collect.allow, []);
  assert.equal(config.collect.connectionCountMax, 64);
  assert.equal(config.collect.idleTimeoutMs, 600_000);
  assert.equal(config.collect.lingerMs, 20);
  assert.deepEqual(
    [config.journal.sync, config.journal.syncIntervalMs, config.journal.segmentBytes],
    ['interval', 1_000, 256 * 1024 * 1024],
  );
  assert.equal(config.journal.retentionBytes, 50e9);
  assert.equal(config.store.flushMs, 5_000);
  assert.deepEqual(makeConfig(undefined), config);
  assert.deepEqual(makeConfig({ collect: {}, store: {} }), config);
});

test('the result cannot be changed, not even inside', () => {
  const config = makeConfig({});
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.collect));
  assert.ok(Object.isFrozen(config.collect.allow) && Object.isFrozen(config.listen));
});

test('an unknown key is refused by its path, at every level', () => {
  refuses(() => makeConfig({ colect: {} }, 'x.yaml'), 'MR_CONFIG_KEY', 'x.yaml', 'colect');
  refuses(() => makeConfig({ collect: { lingerMS: 5 } }), 'MR_CONFIG_KEY', 'collect', 'lingerMS');
});

test('what is out of range, or of a wrong type, is refused by its path', () => {
  const cases: readonly [path: string, input: unknown][] = [
    ['collect.lingerMs', { collect: { lingerMs: 0 } }],
    ['collect.connectionCountMax', { collect: { connectionCountMax: 1.5 } }],
    ['collect.workers', { collect: { workers: '2' } }],
    ['collect.allow.1', { collect: { allow: ['10.0.0.0/8', '10.0.0.0/40'] } }],
    ['journal.sync', { journal: { sync: 'sometimes' } }],
    ['pages.arenaBytes', { pages: { arenaBytes: 2 ** 31 } }],
    ['listen', { listen: [] }],
    ['store', { store: null }],
  ];
  for (const [path, input] of cases) {
    refuses(() => makeConfig(input), 'MR_CONFIG_KEY', `${path}:`);
  }
  refuses(() => makeConfig(7), 'MR_CONFIG_KEY', '(top level)');
});

test('a mistyped name of cpu.pin is told as such, with those that there are', () => {
  refuses(() => makeConfig({ cpu: { pin: { colect: 1 } } }), 'MR_CONFIG_KEY', 'cpu.pin.colect: no');
  refuses(() => makeConfig({ cpu: { pin: { 'main-0': 1 } } }), 'MR_CONFIG_KEY', 'cpu.pin.main-0:');
  refuses(
    () => makeConfig({ cpu: { pin: true as never } }),
    'MR_CONFIG_KEY',
    'auto, off, or a map',
  );
  assert.ok(makeConfig({ cpu: { pin: { 'collect-0': 1, store: '0-1', helpers: 'last' } } }));
});

test('every fault is told at once', () => {
  refuses(
    () => makeConfig({ collect: { lingerMs: 0 }, store: { flushMs: 1 } }),
    'MR_CONFIG_KEY',
    'collect.lingerMs',
    'store.flushMs',
  );
});

test('the hard cap is not below the retention', () => {
  const journal = { retentionBytes: 9e9, capBytes: 8e9 };
  refuses(() => makeConfig({ journal }), 'MR_CONFIG_KEY', 'capBytes', '8000000000', '9000000000');
  assert.ok(makeConfig({ journal: { retentionBytes: 9e9, capBytes: 9e9 } }));
});

test('a YAML file becomes plain data; an empty one is no fault', () => {
  assert.deepEqual(readConfigFile(file('collect:\n  lingerMs: 5\n')), { collect: { lingerMs: 5 } });
  assert.deepEqual(readConfigFile(file('# nothing\n')), {});
});

test('a YAML fault is told with line and column', () => {
  refuses(() => readConfigFile(file('a: 1\nb: [1,\n')), 'MR_CONFIG_FILE', 'millrace.yaml:3:1:');
  refuses(() => readConfigFile(file('a: 1\na: 2\n')), 'MR_CONFIG_FILE', ':2:1:', 'unique');
  refuses(() => readConfigFile(file('- a\n- b\n')), 'MR_CONFIG_FILE', 'not a YAML mapping');
  refuses(() => readConfigFile(file('a: *nobody\n')), 'MR_CONFIG_FILE', 'nobody');
});

test('a file that is not there is told by its path', () => {
  refuses(() => readConfigFile(join(folder, 'none.yaml')), 'MR_CONFIG_FILE', 'none.yaml', 'ENOENT');
});
