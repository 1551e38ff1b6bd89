import { test } from 'node:test';
import { assertNone } from './tidy/assert-none.ts';
import { checkImports, deadFiles } from './tidy/imports.ts';
import { checkLicences, checkLock, checkVersions, readLock, readPackage } from './tidy/packages.ts';
import { ROOT, readSources } from './tidy/sources.ts';

const files = readSources();

test('no file imports what its storey must not know', () => {
  assertNone(files.flatMap(checkImports));
});

test('no file of src is dead', () => {
  const { bin, exports } = readPackage(ROOT);
  const doors = [
    ...Object.values(bin ?? {}),
    ...Object.values(exports ?? {}).map((door) => door.default),
  ];
  const entries = doors.map((door) => door.replace('./dist/', '').replace(/\.js$/, '.ts'));
  assertNone(deadFiles(files, entries));
});

test('dependencies have exact versions', () => {
  assertNone(checkVersions(readPackage(ROOT)));
});

test('no dependency runs code at install, and the lock file names no host', () => {
  assertNone(checkLock(readLock(ROOT)));
});

test('every installed package has a licence that we know', () => {
  assertNone(checkLicences(ROOT, readLock(ROOT)));
});
