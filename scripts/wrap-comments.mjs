/**
 * Wraps comment lines that are longer than 100 columns; the formatter leaves them alone.
 *
 * WHY    The tidy test refuses long lines, and wrapping prose by hand is no work for people.
 * RULES  A line that is too long gives its last words to the next line of its paragraph, or to
 *        a new one; headings (`WHY  text`, `1. text`) keep their indent. Code is not touched.
 * USAGE  node scripts/wrap-comments.mjs [FILE...]    without files: all that git knows (npm run
 *        format)
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const COLUMNS_MAX = 100;
const GENERATED = new Set(['src/rdr/catalog-data.ts']);

const ONE_LINE = /^(\s*)\/\*\* (.*) \*\/$/;
const LINE_COMMENT = /^(\s*\/\/ )(.*)$/;
const BLOCK_LINE = /^(\s*\* )(.*)$/;
const HANGING = /^(\s*(?:[A-Z]+(?: [A-Z]+)*|[A-Za-z.]+) {2,}(?:\d+\. )?|\s*\d+\. |\s+)(?=\S)/;
const NEW_PARAGRAPH = /^\s*(?:\d+\.|[A-Z]{3,} |@)/;

/** Words into lines of `first`, then `rest` as what stands before them. */
function fill(words, first, rest) {
  const lines = [];
  let line = first;
  let isEmpty = true;
  for (const word of words) {
    if (!isEmpty && line.length + 1 + word.length > COLUMNS_MAX) {
      lines.push(line);
      line = rest;
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  lines.push(line);
  return lines;
}

/** `next` is a line of the same paragraph, so that words may move in front of it. */
function takesMore(next, prefix, hang) {
  if (!next?.startsWith(prefix) || next.trimEnd().endsWith('*/')) return false;
  const body = next.slice(prefix.length);
  const indent = body.length - body.trimStart().length;
  return body.trim() !== '' && indent === hang && !NEW_PARAGRAPH.test(body);
}

function wrap(text) {
  const lines = text.split('\n');
  const out = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    const single = ONE_LINE.exec(line);
    const comment = LINE_COMMENT.exec(line) ?? BLOCK_LINE.exec(line);
    if (line.length <= COLUMNS_MAX) out.push(line);
    else if (single !== null) {
      const [, indent, body] = single;
      out.push(`${indent}/**`, ...fill(body.split(' '), `${indent} * `, `${indent} * `));
      out.push(`${indent} */`);
    } else if (comment !== null) {
      const [, prefix, body] = comment;
      const hang = HANGING.exec(body)?.[1].length ?? 0;
      const rest = prefix + ' '.repeat(hang);
      const words = body.slice(hang).split(' ');
      const filled = fill(words, prefix + body.slice(0, hang), rest);
      const isMoved = filled.length > 1 && takesMore(lines[i + 1], prefix, hang);
      if (isMoved) lines[i + 1] = `${filled.pop()} ${lines[i + 1].slice(prefix.length).trim()}`;
      out.push(...filled);
    } else out.push(line);
  }
  return out.join('\n');
}

function knownFiles() {
  const patterns = ['*.ts', '*.mjs', '*.c', '*.h'];
  const list = execFileSync('git', ['ls-files', ...patterns], { cwd: ROOT, encoding: 'utf8' });
  return list.split('\n').filter((path) => path !== '' && !GENERATED.has(path));
}

process.chdir(ROOT);
const files = process.argv.length > 2 ? process.argv.slice(2) : knownFiles();
for (const path of files) {
  const before = readFileSync(path, 'utf8');
  const after = wrap(before);
  if (after !== before) {
    writeFileSync(path, after);
    console.log(`wrapped ${path}`);
  }
}
