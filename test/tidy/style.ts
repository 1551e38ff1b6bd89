/**
 * Style checks: each takes a source file and returns what it finds, one sentence a finding.
 *
 * The limits are those of CONTRIBUTING.md; a check that cannot be made by a simple scan is left to
 * the review, not half made here.
 */
import { functionSpans } from './functions.ts';
import { lineOf } from './scanner.ts';
import type { SourceFile } from './sources.ts';

export const FUNCTION_LINES_MAX = 70;
export const LINE_COLUMNS_MAX = 100;
export const FILE_LINES_MAX = 500;

export type Check = (file: SourceFile) => string[];

function headComment(file: SourceFile): string | null {
  const start = file.text.startsWith('#!') ? file.text.indexOf('\n') + 1 : 0;
  const first = file.scan.comments[0];
  return first?.isBlock === true && first.start === start ? first.text : null;
}

/** Every file that is not a test opens with a block comment that says what it is and why. */
export const checkHead: Check = (file) => {
  if (file.isTest || file.isGenerated) return [];
  const head = headComment(file);
  if (head === null) return [`${file.path}: opens without a head comment`];
  return headingsFor(file.path)
    .filter((heading) => !head.includes(heading))
    .map((heading) => `${file.path}: the head comment has no ${heading}`);
};

/** Rings, pages and formats say more in their heads. */
function headingsFor(path: string): readonly string[] {
  if (/\/format\.ts$/.test(path)) return ['WHY', 'LAYOUT', 'INVARIANTS', 'REFUSED'];
  if (/-ring\.ts$/.test(path)) return ['WHY', 'OWNERSHIP', 'INVARIANTS', 'REFUSED'];
  return [];
}

export const checkLines: Check = (file) => {
  if (file.isGenerated) return [];
  const found: string[] = [];
  const lines = file.text.split('\n');
  lines.forEach((line, index) => {
    const columns = Array.from(line).length;
    if (columns > LINE_COLUMNS_MAX) {
      found.push(`${file.path}:${index + 1}: ${columns} columns, at most ${LINE_COLUMNS_MAX}`);
    }
  });
  const headLines = headComment(file)?.split('\n').length ?? 0;
  const count = lines.length - 1 - headLines;
  if (count > FILE_LINES_MAX) {
    found.push(`${file.path}: ${count} lines below the head, at most ${FILE_LINES_MAX}`);
  }
  return found;
};

export const checkFunctions: Check = (file) => {
  if (file.isGenerated) return [];
  return functionSpans(file.text, file.scan)
    .filter((span) => span.lines > FUNCTION_LINES_MAX)
    .map(
      ({ line, name, lines }) =>
        `${file.path}:${line}: ${name} has ${lines} lines, at most ${FUNCTION_LINES_MAX}`,
    );
};

const CONSOLE_ALLOWED = /^(?:src\/cli|scripts|bench|examples)\//;

export const checkConsole: Check = (file) =>
  CONSOLE_ALLOWED.test(file.path) ? [] : findCode(file, /\bconsole\.log\b/g, 'console.log');

/** The words are put together here, so that this file passes its own check. */
const UNFINISHED = new RegExp(
  `\\b(?:${['FIX', 'TO'].map((word) => `${word}(?:ME|DO)`).join('|')})\\b`,
  'g',
);

export const checkUnfinished: Check = (file) =>
  [...file.text.matchAll(UNFINISHED)].map(
    (match) => `${file.path}:${lineOf(file.text, match.index)}: ${match[0]} left in the source`,
  );

const CODE_END = /(?:[;{]|\}\)?)$/;
const CODE_START = /^(?:\}|(?:const|let|var|import|export|return|await|if|for|while)\b.*[;{)]$)/;

/** Line comments that read as statements; code in block comments is documentation. */
export const checkCommentedCode: Check = (file) => {
  const found: string[] = [];
  for (const comment of file.scan.comments) {
    if (comment.isBlock) continue;
    const text = comment.text.slice(2).trim();
    if ((CODE_END.test(text) && /[(=]/.test(text)) || CODE_START.test(text)) {
      found.push(`${file.path}:${lineOf(file.text, comment.start)}: commented-out code: ${text}`);
    }
  }
  return found;
};

export const checkErasable: Check = (file) => {
  if (!file.path.endsWith('.ts')) return [];
  return [
    ...findCode(file, /^\s*(?:export\s+)?(?:const\s+)?enum\s+\w+/gm, 'enum'),
    ...findCode(file, /^\s*(?:export\s+)?(?:declare\s+)?namespace\s+\w+/gm, 'namespace'),
  ];
};

/** Control words are named by their layout.ts; only a view of one word may say 0 instead. */
export const checkControlIndex: Check = (file) => {
  if (file.isTest || file.path.endsWith('/layout.ts')) return [];
  return findCode(
    file,
    /\bAtomics\.\w+\(\s*[\w.#]+\s*,\s*[1-9]/g,
    'numeric index of a control word',
  );
};

export const checkFolder: Check = (file) =>
  /(?:^|\/)(?:utils?|helpers|misc)\//.test(file.path)
    ? [`${file.path}: a folder without a subject`]
    : [];

function findCode(file: SourceFile, pattern: RegExp, what: string): string[] {
  return [...file.scan.code.matchAll(pattern)].map(
    (match) => `${file.path}:${lineOf(file.text, match.index)}: ${what}`,
  );
}

export const STYLE_CHECKS: Readonly<Record<string, Check>> = {
  'a file opens with a head comment': checkHead,
  'lines and files are short': checkLines,
  'functions are short': checkFunctions,
  'only tools print with console.log': checkConsole,
  'nothing is left unfinished': checkUnfinished,
  'no commented-out code': checkCommentedCode,
  'only erasable TypeScript': checkErasable,
  'control words have names': checkControlIndex,
  'folders have a subject': checkFolder,
};
