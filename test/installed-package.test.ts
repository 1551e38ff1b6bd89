/**
 * The package as a user has it: packed, unpacked into an empty project beside its dependencies and
 * nothing else, its native parts built by the command that MR_ADDON names, and used.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { addonSkipReason } from '../src/toolkit/sys/load.ts';
import { readLock } from './tidy/packages.ts';
import { ROOT } from './tidy/sources.ts';

const PACKAGE = 'millrace';
const project = mkdtempSync(join(tmpdir(), 'millrace-installed-'));
after(() => {
  rmSync(project, { recursive: true, force: true });
});

function run(program: string, parameters: readonly string[], cwd = project) {
  const shell = ['-c', 'ulimit -c 0; exec "$@"', 'sh', program, ...parameters];
  return spawnSync('sh', shell, { cwd, encoding: 'utf8', timeout: 240_000 });
}

/** What npm would install of the lock file for somebody who depends on Millrace. */
function linkDependencies(): void {
  for (const [path, entry] of Object.entries(readLock(ROOT).packages)) {
    const isNested = path.lastIndexOf('node_modules/') > 0;
    if (path === '' || isNested || entry.dev === true || !existsSync(join(ROOT, path))) continue;
    mkdirSync(dirname(join(project, path)), { recursive: true });
    symlinkSync(join(ROOT, path), join(project, path));
  }
}

function install(): void {
  const packed = run('npm', ['pack', '--ignore-scripts', '--pack-destination', project], ROOT);
  assert.equal(packed.status, 0, packed.stderr);
  const folder = join(project, 'node_modules/millrace');
  mkdirSync(folder, { recursive: true });
  linkDependencies();
  const file = packed.stdout.trim().split('\n').at(-1)!;
  const tar = run('tar', ['-xzf', file, '-C', folder, '--strip-components=1']);
  assert.equal(tar.status, 0, tar.stderr);
}

const needsAddon = {
  skip: process.arch === 'x64' ? addonSkipReason() : 'the guard needs x86-64',
  timeout: 300_000,
};

test('an installed package: MR_ADDON names the command, after which it guards', needsAddon, () => {
  install();
  const program = join(project, 'table.mjs');
  writeFileSync(
    program,
    `import { protect } from ${JSON.stringify(`${PACKAGE}/guard`)};
    const table = new Uint8Array(new SharedArrayBuffer(65536));
    const guard = protect(table, { label: 'table' });
    function scribble() { table[guard.offset] = 1; }
    scribble();`,
  );
  const unbuilt = run(process.execPath, [program]);
  assert.match(unbuilt.stderr, /MR_ADDON/);
  const command = 'node node_modules/millrace/scripts/build-addon.mjs';
  assert.ok(unbuilt.stderr.includes(`build it with: ${command} `), unbuilt.stderr);
  const built = run(process.execPath, command.split(' ').slice(1));
  assert.equal(built.status, 0, built.stderr);
  const { signal, stderr } = run(process.execPath, [program]);
  assert.equal(signal, 'SIGSEGV', stderr);
  assert.match(stderr, /^segmentation fault at .*: scribble \(.*table\.mjs:4:\d+\) wrote 1 byte/);
  for (const path of ['examples/guard-hunt.ts', 'docs/reference/guard.md', 'native/guard/core.h']) {
    assert.ok(existsSync(join(project, 'node_modules/millrace', path)), path);
  }
});
