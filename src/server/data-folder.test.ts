import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import type { MillraceError } from '../toolkit/base/errors.ts';
import { addonSkipReason } from '../toolkit/sys/index.ts';
import { openDataFolder } from './data-folder.ts';

const needsAddon = { skip: addonSkipReason() };
const root = mkdtempSync(join(tmpdir(), 'millrace-data-'));
after(() => rmSync(root, { recursive: true, force: true }));

test('a new folder is made with its parts, and nothing else stays in it', needsAddon, () => {
  const path = join(root, 'a', 'b');
  const folder = openDataFolder(path);
  assert.equal(folder.path, path);
  assert.deepEqual(readdirSync(path).sort(), ['journal', 'lock', 'positions', 'store']);
  folder.close();
  openDataFolder(path).close();
});

test(
  'a second server is refused while the first runs, and served when it has gone',
  needsAddon,
  () => {
    const path = join(root, 'locked');
    const first = openDataFolder(path);
    assert.throws(
      () => openDataFolder(path),
      (error: MillraceError) =>
        error.code === 'MR_DATA_LOCKED' && error.message.includes(path) && error.remedy !== '',
    );
    first.close();
    openDataFolder(path).close();
  },
);

test('a file in the place of the folder, or of a part of it', needsAddon, () => {
  const path = join(root, 'file');
  writeFileSync(path, 'precious');
  assert.throws(() => openDataFolder(path), { code: 'MR_DATA_ACCESS' });
  const other = join(root, 'other');
  mkdirSync(other);
  mkdirSync(join(other, 'lock'));
  assert.throws(() => openDataFolder(other), { code: 'MR_DATA_ACCESS' });
});

/** Opens `path` in a mount namespace of its own, after `mount` was run there; "OK" or the code. */
function openMounted(t: TestContext, path: string, mount: string): string | null {
  const url = new URL('./data-folder.js', import.meta.url).href;
  const script = `import(${JSON.stringify(url)}).then(({ openDataFolder }) => {
    try { openDataFolder(${JSON.stringify(path)}); console.log('OK'); }
    catch (error) { console.log(error.code); }
  });`;
  const child = spawnSync(
    'unshare',
    ['-rm', '/bin/sh', '-c', `${mount} && exec "$0" -e "$1"`, process.execPath, script],
    { encoding: 'utf8', timeout: 60_000 },
  );
  if (child.status === 0) return child.stdout.trim();
  t.skip(`no mount namespace here: ${child.error?.message ?? child.stderr.trim()}`);
  return null;
}

test('a read-only disk, new folder or old', needsAddon, (t) => {
  const path = join(root, 'readonly');
  mkdirSync(path);
  const mount = `mount -t tmpfs -o size=1m none ${path}`;
  const fresh = openMounted(t, join(path, 'data'), `${mount} && mount -o remount,ro ${path}`);
  if (fresh === null) return;
  assert.equal(fresh, 'MR_DATA_ACCESS');
  const made = 'mkdir -p data/journal data/store data/positions && touch data/lock';
  const old = `${mount} && (cd ${path} && ${made}) && mount -o remount,ro ${path}`;
  assert.equal(openMounted(t, join(path, 'data'), old), 'MR_DATA_ACCESS');
});

test('a full disk, by bytes and by inodes', needsAddon, (t) => {
  const path = join(root, 'full');
  mkdirSync(path);
  const mount = `mount -t tmpfs -o size=64k,nr_inodes=5 none ${path}`;
  const inodes = openMounted(t, join(path, 'data'), mount);
  if (inodes === null) return;
  assert.equal(inodes, 'MR_DISK_FULL');
  const fill = `dd if=/dev/zero of=${path}/fill bs=1k 2>/dev/null; true`;
  const bytes = `mount -t tmpfs -o size=64k none ${path} && (${fill})`;
  assert.equal(openMounted(t, join(path, 'data'), bytes), 'MR_DISK_FULL');
  assert.ok(!existsSync(join(path, 'data')), 'the mounts were another namespace’s');
});
