/**
 * Writes docs/reference/cli.md from the help texts of the built command line.
 *
 * WHY     One truth: what `--help` says is what the page says.
 * USAGE   node scripts/cli-reference.mjs            writes the page
 *         node scripts/cli-reference.mjs --check    exit 1 when it is not up to date
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PAGE = join(ROOT, 'docs/reference/cli.md');
const MAIN = join(ROOT, 'dist/src/cli/main.js');

const HEAD = `# Command line

Made from the help texts by \`node scripts/cli-reference.mjs\`; a test compares them.

From a checkout the command is \`./millrace\`. Exit codes: 0 fine, 1 failed, 2 wrong usage or
configuration; errors are printed on stderr with a code of [the registry](errors.md). Long commands
show a bar with rate and time left when stderr is a terminal. What exporters sent is shown on a
terminal with control characters as \`\\xHH\`; in files and pipes it is unchanged.
`;

function help(words) {
  return execFileSync(process.execPath, [MAIN, ...words, '--help'], {
    encoding: 'utf8',
    env: { ...process.env, COLUMNS: '100', NO_COLOR: '1' },
  }).trimEnd();
}

/** Names in the "Commands:" part of a help text. */
function commandsOf(text) {
  const part = /^Commands:\n((?: {2}.*\n?)+)/m.exec(text)?.[1] ?? '';
  return [...part.matchAll(/^ {2}([a-z]+)\b/gm)].map((match) => match[1]);
}

function section(words, depth) {
  const text = help(words);
  const title = ['millrace', ...words].join(' ');
  const inner = commandsOf(text).filter((name) => name !== 'help');
  return [
    `${'#'.repeat(depth)} ${title}\n\n\`\`\`\n${text}\n\`\`\`\n`,
    ...inner.flatMap((name) => section([...words, name], Math.min(depth + 1, 3))),
  ];
}

const page = `${HEAD}\n${section([], 2).join('\n')}`;
if (!process.argv.includes('--check')) {
  writeFileSync(PAGE, page);
} else if (!existsSync(PAGE) || readFileSync(PAGE, 'utf8') !== page) {
  console.error(`${PAGE} is not what --help says; run node scripts/cli-reference.mjs`);
  process.exitCode = 1;
}
