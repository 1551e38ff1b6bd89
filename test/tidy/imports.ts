/**
 * Imports: what a file imports, and which of it the tree of storeys forbids.
 *
 * WHY        A newcomer can find where a byte goes next because a lower storey never knows an upper
 *            one, and because each dependency has one folder. ARCHITECTURE.md says why; this is how
 *            it stays true.
 * INVARIANTS Rules are data (AREAS, PACKAGE_HOMES); a file that belongs to no area is itself a
 * finding.
 */
import { posix } from 'node:path';
import { lineOf } from './scanner.ts';
import type { SourceFile } from './sources.ts';

export interface Import {
  readonly specifier: string;
  readonly line: number;
}

const IMPORT_FORMS = [
  /\b(?:import|export)\b[^'"`;()]*?\bfrom\s*['"]([^'"\n]+)['"]/g,
  // Behind a parenthesis it is the text of WebAssembly.
  /(?<!\()\bimport\s*['"]([^'"\n]+)['"]/g,
  /\bimport\(\s*['"]([^'"\n]+)['"]/g,
];

/** Specifiers of static, dynamic and type imports, and of re-exports. */
export function importsOf(file: SourceFile): Import[] {
  const found: Import[] = [];
  for (const form of IMPORT_FORMS) {
    for (const match of file.scan.codeWithStrings.matchAll(form)) {
      const specifier = match[1]!;
      if (specifier.includes('$')) continue;
      found.push({ specifier, line: lineOf(file.text, match.index) });
    }
  }
  return found;
}

/** A folder (or file) of src and the areas that it may import besides itself. */
interface Area {
  readonly name: string;
  readonly pattern: RegExp;
  readonly mayImport: readonly string[];
  /** False: no node: module at all. */
  readonly hasNode: boolean;
}

const TOOLKIT = ['base', 'sys', 'cpu', 'pages', 'ring', 'output', 'guard', 'counters'];
const STAGES = ['collect', 'journal', 'store', 'forward', 'cluster', 'dashboard'];
/** What stages share: the contract between them, and the journal's files. */
const STAGE_MAY = [...TOOLKIT, 'rdr', 'contract', 'meeting'];

function toolkit(name: string, mayImport: readonly string[], hasNode = true): Area {
  return { name, pattern: new RegExp(`^src/toolkit/${name}/`), mayImport, hasNode };
}

/** Files of the journal that every reader of it may use. */
const MEETING = [
  'format',
  'reader',
  'segment-list',
  'segment-window',
  'block-source',
  'ring-source',
  'shared',
  'forward-sleep',
];

/** Files beside the stages that each of them may use. */
const CONTRACT = [
  'config-problems',
  'forward-config',
  'host-problem',
  'forward/options',
  'forward/report',
  'forward/health',
  'arena-guard',
  'config',
  'control',
  'guard-status',
  'open-pool',
  'setup',
  'slot',
  'stage',
  'snapshot',
  'record-json',
  'pinning-status',
  'reload-status',
  'log',
  'log-ring',
  'address',
  'top-words',
];

/** The first matching area is a file's own. */
const AREAS: readonly Area[] = [
  toolkit('base', [], false),
  toolkit('sys', ['base']),
  toolkit('ring', ['base']),
  toolkit('counters', ['ring', 'base']),
  toolkit('cpu', ['sys', 'base']),
  toolkit('pages', ['ring', 'sys', 'base']),
  toolkit('guard', ['pages', 'sys', 'base']),
  toolkit('output', ['pages', 'sys', 'base']),
  { name: 'rdr', pattern: /^src\/rdr\//, mayImport: ['base'], hasNode: false },
  {
    name: 'nettest',
    pattern: /^src\/nettest\//,
    mayImport: ['output', 'pages', 'sys', 'base'],
    hasNode: true,
  },
  { name: 'sink', pattern: /^src\/sink\//, mayImport: ['rdr', 'base'], hasNode: true },
  { name: 'simulator', pattern: /^src\/simulator\//, mayImport: ['rdr', 'base'], hasNode: true },
  {
    name: 'meeting',
    pattern: new RegExp(`^src/server/journal/(?:${MEETING.join('|')})\\.ts$`),
    mayImport: [...TOOLKIT, 'contract'],
    hasNode: true,
  },
  {
    name: 'contract',
    pattern: new RegExp(`^src/server/(?:${CONTRACT.join('|')})\\.ts$`),
    mayImport: [...TOOLKIT, 'rdr', 'meeting'],
    hasNode: true,
  },
  ...STAGES.map((name) => ({
    name,
    pattern: new RegExp(`^src/server/${name}/`),
    mayImport: STAGE_MAY,
    hasNode: true,
  })),
  {
    name: 'server',
    pattern: /^src\/server\/[\w-]+(?:\.test)?\.ts$/,
    mayImport: [...TOOLKIT, 'rdr', 'contract', 'meeting', ...STAGES],
    hasNode: true,
  },
  {
    name: 'cli',
    pattern: /^src\/cli\//,
    mayImport: [
      ...TOOLKIT,
      'rdr',
      'nettest',
      'simulator',
      'sink',
      'contract',
      'meeting',
      'server',
      ...STAGES,
    ],
    hasNode: true,
  },
];

function areaOf(path: string): Area | undefined {
  return AREAS.find((area) => area.pattern.test(path));
}

/** npm package -> where it may be imported. A package that is not here may be imported nowhere. */
const PACKAGE_HOMES: Readonly<Record<string, RegExp>> = {
  '@duckdb/node-api': /^src\/server\/store\//,
  '@duckdb/node-bindings': /^src\/server\/store\//,
  '@fastify/static': /^src\/server\/dashboard\//,
  fastify: /^src\/server\/dashboard\//,
  'prom-client': /^src\/server\/dashboard\//,
  pino: /^src\/server\/log\.ts$/,
  yaml: /^src\/server\/config\.ts$|^test\//,
  zod: /^src\/server\/(?:(?:forward-)?config|config-problems)\.ts$|^scripts\//,
  commander: /^src\/cli\//,
  'cli-progress': /^src\/cli\//,
  uplot: /^web\//,
  acorn: /^test\/(?:schedule|model)\//,
  'ringbuf.js': /^bench\/ring\//,
  vite: /^(?:web|scripts)\//,
  'fast-check': /\.test\.ts$|^test\//,
  'playwright-core': /^(?:test|scripts)\//,
};

/** Imports of one file that the rules forbid. */
export function checkImports(file: SourceFile): string[] {
  const own = areaOf(file.path);
  const found: string[] = [];
  if (file.path.startsWith('src/') && own === undefined) {
    found.push(`${file.path}: belongs to no area of the tree; add one to test/tidy/imports.ts`);
  }
  for (const { specifier, line } of importsOf(file)) {
    const problem = specifier.startsWith('.')
      ? checkRelative(file, own, specifier)
      : checkPackage(file, own, specifier);
    if (problem !== null) found.push(`${file.path}:${line}: ${problem}`);
  }
  return found;
}

function checkRelative(file: SourceFile, own: Area | undefined, specifier: string): string | null {
  if (!/^src\/.*\.ts$/.test(file.path)) return null;
  if (!specifier.endsWith('.ts')) return `import ${specifier} with its .ts suffix`;
  if (file.isTest || own === undefined) return null;
  const target = posix.join(posix.dirname(file.path), specifier);
  const area = areaOf(target);
  if (area === undefined) return `imports ${target}, which is outside src`;
  const isAllowed = area === own || own.mayImport.includes(area.name);
  const isSameStage = own.name === 'journal' && area.name === 'meeting';
  return isAllowed || isSameStage ? null : `${own.name} must not import ${area.name} (${target})`;
}

function checkPackage(file: SourceFile, own: Area | undefined, specifier: string): string | null {
  if (specifier.startsWith('node:')) {
    const isFree = own === undefined || own.hasNode || file.isTest;
    return isFree ? null : `${own.name} must not import ${specifier}`;
  }
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const home = PACKAGE_HOMES[name];
  if (home === undefined) return `the package ${name} has no home in test/tidy/imports.ts`;
  return home.test(file.path)
    ? null
    : `the package ${name} has its home elsewhere (${home.source})`;
}

/** Files that nothing reaches: neither an entry, nor imported, nor named as a worker by a URL. */
export function deadFiles(files: readonly SourceFile[], entries: readonly string[]): string[] {
  const reached = new Set(entries);
  for (const file of files) {
    const named = [...file.scan.codeWithStrings.matchAll(/['"](\.{1,2}\/[^'"\n]+)['"]/g)];
    for (const match of named) {
      const target = posix.join(posix.dirname(file.path), match[1]!).replace(/\.js$/, '.ts');
      if (target !== file.path && !(file.isTest && target.startsWith('src/'))) reached.add(target);
    }
  }
  return files
    .filter((file) => file.path.startsWith('src/') && !file.isTest && !reached.has(file.path))
    .map((file) => file.path);
}
