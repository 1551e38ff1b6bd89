/**
 * The sources of the live page: types checked with the DOM library, and the bundle kept small.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

const ROOT = path.resolve(import.meta.dirname, '../..');
const BUNDLE_GZIP_BYTES_MAX = 100_000;

test('the page passes the type check', async () => {
  const compiler = path.join(ROOT, 'node_modules/typescript/bin/tsc');
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, [compiler, '-p', 'web'], { cwd: ROOT }).catch(
    (error: { stdout: string }) => ({ stdout: error.stdout }),
  );
  assert.equal(stdout, '');
});

test('no file of the page makes markup from text', () => {
  const folder = path.join(ROOT, 'web/src');
  for (const name of readdirSync(folder).filter((one) => one.endsWith('.ts'))) {
    const source = readFileSync(path.join(folder, name), 'utf8');
    assert.doesNotMatch(
      source,
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment/,
      name,
    );
  }
});

test('the bundle is small and asks for nothing from elsewhere', () => {
  const built = path.join(ROOT, 'dist/web');
  assert.ok(existsSync(path.join(built, 'index.html')), 'dist/web is missing: npm run build');
  let gzipBytes = 0;
  for (const entry of readdirSync(built, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const bytes = readFileSync(path.join(entry.parentPath, entry.name));
    gzipBytes += gzipSync(bytes).length;
    const addresses = bytes.toString('utf8').match(/https?:\/\/[\w.-]+/g) ?? [];
    assert.deepEqual(
      addresses.filter((address) => address !== 'http://www.w3.org'),
      [],
      entry.name,
    );
  }
  assert.ok(gzipBytes < BUNDLE_GZIP_BYTES_MAX, `${gzipBytes} bytes`);
});
