import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MillraceError } from '../base/errors.ts';
import { addonPaths, addonSkipReason, buildCommand, loadAddon } from './load.ts';

const root = await mkdtemp(join(tmpdir(), 'millrace-load-'));
after(() => rm(root, { recursive: true }));

function failureOf(call: () => unknown): MillraceError {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof MillraceError);
    assert.equal(error.code, 'MR_ADDON');
    return error;
  }
  return assert.fail('it loaded');
}

test('a missing addon: says which paths were tried and what to type', () => {
  const error = failureOf(() => loadAddon({ root, env: {} }));
  assert.ok(error.message.includes(join(root, 'build/millrace.node')));
  assert.match(error.message, /not there/);
  assert.match(error.message, new RegExp(`linux-${process.arch}, Node.js ${process.version}`));
  assert.match(error.remedy, /scripts\/build-addon\.mjs/);
});

test('the remedy is a command that works in this kind of install', async () => {
  const app = join(root, 'app');
  const installed = join(app, 'node_modules/millrace');
  const checkout = join(root, 'checkout');
  for (const folder of [installed, checkout]) await mkdir(folder, { recursive: true });
  await writeFile(join(checkout, 'package-lock.json'), '{}');
  assert.equal(buildCommand(checkout), 'npm run setup');
  const script = 'node_modules/millrace/scripts/build-addon.mjs';
  assert.equal(buildCommand(installed, app), `node ${script}`);
  assert.equal(buildCommand(installed, checkout), `node ${join(app, script)}`);
});

test('a file that is no addon: the loader says what the system said', async () => {
  const broken = join(root, 'broken');
  await mkdir(join(broken, 'build'), { recursive: true });
  await writeFile(join(broken, 'build/millrace.node'), 'not an ELF file');
  const error = failureOf(() => loadAddon({ root: broken, env: {} }));
  assert.match(error.message, /millrace\.node: .*(ELF|file too short|invalid)/i);
});

test('MILLRACE_NO_ADDON=1 refuses to load, and says how to change that', () => {
  const error = failureOf(() => loadAddon({ env: { MILLRACE_NO_ADDON: '1' } }));
  assert.match(error.message, /MILLRACE_NO_ADDON=1/);
  assert.match(error.remedy, /unset/);
});

test('MILLRACE_NO_ADDON with another value loads', { skip: addonSkipReason() }, () => {
  assert.equal(typeof loadAddon({ env: { MILLRACE_NO_ADDON: '0' } }).recv, 'function');
});

test('a published package is looked into before the checkout', async () => {
  const published = join(root, 'published');
  await mkdir(join(published, 'prebuilds'), { recursive: true });
  const [first, second, ...more] = addonPaths(published);
  assert.match(first!, new RegExp(`/prebuilds/linux-${process.arch}(-musl)?/millrace\\.node$`));
  assert.equal(second, join(published, 'build/millrace.node'));
  assert.deepEqual(more, []);
});
