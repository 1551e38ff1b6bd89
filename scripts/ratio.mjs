/**
 * Prints how many lines of test stand beside how many lines of source. CI shows it; the aim is 1.2.
 *
 * Blank lines, comments and generated data do not count; test support counts as test.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const GENERATED = new Set(['src/rdr/catalog-data.ts']);

const paths = execFileSync('git', ['ls-files', '*.ts', '*.c', '*.h', '*.mjs'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '' && !GENERATED.has(path));

const lines = { source: 0, test: 0 };
for (const path of paths) {
  const isTest = /\.test(?:-data)?\.ts$/.test(path) || path.startsWith('test/');
  const count = readFileSync(join(ROOT, path), 'utf8')
    .split('\n')
    .filter((line) => !/^\s*(?:$|\/\/|\/\*|\*)/.test(line)).length;
  lines[isTest ? 'test' : 'source'] += count;
}
const ratio = (lines.test / lines.source).toFixed(2);
console.log(`${lines.test} lines of test, ${lines.source} of source: ${ratio}`);
