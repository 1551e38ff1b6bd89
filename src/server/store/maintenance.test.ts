import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredFile } from './commit-record.ts';
import { dueFiles } from './maintenance.ts';

function files(count: number, rows: number, plain: boolean): StoredFile[] {
  return Array.from({ length: count }, (_, i) => {
    const file = { path: `${rows}-${plain}-${i}`, rows, bytes: rows, groups: 1 };
    return plain ? { ...file, plain } : file;
  });
}

test('plain files are due together, whatever their rows', () => {
  assert.deepEqual(dueFiles([...files(20, 3, true), ...files(11, 90_000, true)], 32), []);
  const due = [...files(20, 3, true), ...files(12, 90_000, true)];
  assert.deepEqual(dueFiles([...files(31, 3, false), ...due], 32), due);
  assert.equal(dueFiles(files(1000, 5, true), 32).length, 128, 'a backlog goes in turns');
});

test('compressed files are due with others of their size only', () => {
  assert.deepEqual(dueFiles([...files(31, 10, false), ...files(31, 90_000, false)], 32), []);
  const large = files(32, 90_000, false);
  assert.deepEqual(dueFiles([...files(31, 10, false), ...large], 32), large);
  const mixed = [...files(31, 90_000, false), ...files(5, 90_000, true)];
  assert.deepEqual(dueFiles(mixed, 32), []);
});
