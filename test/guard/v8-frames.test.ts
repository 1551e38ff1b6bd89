import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  FRAME_BASELINE,
  FRAME_INLINED,
  FRAME_INTERPRETED,
  FRAME_OPTIMIZED,
  type NamedFrame,
} from '../../src/toolkit/guard/js-names.ts';
import { addonSkipReason } from '../../src/toolkit/sys/load.ts';
import { cellText, KINDS, type Kind, TIERS, type Tier } from './v8-program.ts';

/** Another Node.js, to run the same by hand: MILLRACE_TEST_NODE=/path/to/node. */
const NODE = process.env.MILLRACE_TEST_NODE ?? process.execPath;
const V8_MAJOR = spawnSync(NODE, ['-p', 'parseInt(process.versions.v8)'], {
  encoding: 'utf8',
}).stdout;
/** As exactStackFlags() says for this V8. */
const EXACT = Number(V8_MAJOR) >= 12 ? ['--no-maglev-osr'] : [];
const FLAGS = ['--allow-natives-syntax', '--no-concurrent-osr', ...EXACT];
const ADDON = fileURLToPath(new URL('../../../build/millrace-guard.node', import.meta.url));
const skip = addonSkipReason() ?? (process.arch === 'x64' ? false : 'x86-64 only');

/** Not plain: a module's name, a file:// URL, has all of it encoded. */
const folder = join(mkdtempSync(join(tmpdir(), 'guard-v8-')), 'a b %é');
mkdirSync(folder);
after(() => rmSync(join(folder, '..'), { recursive: true }));

interface Cell {
  readonly name: string;
  readonly kind: Kind;
  readonly tier: Tier;
  readonly file: string;
  readonly text: string;
}

const TIER_NOTES: Readonly<Record<Tier, readonly [leaf: number, outer: number]>> = {
  interpreted: [FRAME_INTERPRETED, FRAME_INTERPRETED],
  baseline: [FRAME_BASELINE, FRAME_BASELINE],
  optimised: [FRAME_OPTIMIZED, FRAME_INTERPRETED],
  inlined: [FRAME_OPTIMIZED | FRAME_INLINED, FRAME_OPTIMIZED],
  loop: [FRAME_OPTIMIZED, FRAME_INTERPRETED],
};

/** How a source may look: V8 keeps it in one or two bytes a character. */
const LAYOUTS = {
  plain: (text: string) => text,
  'CRLF, long lines': (text: string) =>
    `/* ${'x'.repeat(70_000)} */ /*\r alone counts */\n${text}`.replaceAll('\n', '\r\n'),
  'two bytes': (text: string) => `/* ${'日本語𝒳'.repeat(5000)} \u2028 \u2029 */\n${text}`,
};

function cellsOf(extension: string, layout: (text: string) => string): Cell[] {
  const cells: Cell[] = [];
  for (const [name, kind] of Object.entries(KINDS)) {
    for (const tier of TIERS) {
      if (tier === 'inlined' && kind.isNeverInlined === true) continue;
      if ((tier === 'loop') !== (kind.isLoop === true)) continue;
      const title = `${name}, ${tier}`;
      const text = layout(cellText(title, kind, tier));
      cells.push({ name: title, kind, tier, file: `cell-${cells.length}${extension}`, text });
    }
  }
  return cells;
}

const MAIN = `
  const { isMainThread, Worker } = require('node:worker_threads');
  async function run(load) {
    if (isMainThread && process.env.IN_WORKER === '1') return void new Worker(__filename);
    globalThis.seen = {};
    globalThis.captureStack = require(process.env.GUARD_ADDON).captureStack;
    for (const file of JSON.parse(process.env.FILES)) await load(file);
    require('node:fs').writeFileSync(1, JSON.stringify(globalThis.seen));
  }
  run((file) => (file.endsWith('.cjs') ? require(file) : import(file)));`;

function run(cells: readonly Cell[], isWorker: boolean): Record<string, NamedFrame[]> {
  for (const { file, text } of cells) writeFileSync(join(folder, file), text);
  const main = join(folder, 'main.cjs');
  writeFileSync(main, MAIN);
  const { stdout, stderr, status } = spawnSync(NODE, [...FLAGS, main], {
    encoding: 'utf8',
    timeout: 60_000,
    env: {
      ...process.env,
      GUARD_ADDON: ADDON,
      FILES: JSON.stringify(cells.map(({ file }) => `./${file}`)),
      IN_WORKER: isWorker ? '1' : '0',
    },
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

/** 1-based line and column behind the mark. */
function placeOf(text: string, mark: string): { line: number; column: number } {
  const before = text.slice(0, text.indexOf(`/*${mark}*/`) + mark.length + 4);
  const lines = before.split(/\r\n|[\n\r\u2028\u2029]/);
  return { line: lines.length, column: (lines.at(-1) ?? '').length + 1 };
}

function check({ name, kind, tier, file, text }: Cell, frames: readonly NamedFrame[]): void {
  const [leaf, outer] = frames.filter(([, , , , frameKind]) => frameKind === 2);
  const [leafNotes, outerNotes] = TIER_NOTES[tier];
  assert.ok(leaf !== undefined && outer !== undefined, name);
  const { line, column } = kind.place ?? placeOf(text, 'leaf');
  const leafFile = kind.file ?? join(folder, file);
  assert.deepEqual(leaf, [kind.name, leafFile, line, column, 2, leafNotes], name);
  const place = placeOf(text, 'outer');
  const outerFile = join(folder, file);
  assert.deepEqual(outer, ['outer', outerFile, place.line, place.column, 2, outerNotes], name);
}

/** Each thread with each module system, and each layout once. */
const RUNS = [
  ['plain', '.cjs', 'main thread'],
  ['plain', '.mjs', 'worker'],
  ['CRLF, long lines', '.mjs', 'main thread'],
  ['two bytes', '.cjs', 'worker'],
] as const;

for (const [layout, extension, thread] of RUNS) {
  test(`every kind of function, ${layout}, ${extension}, ${thread}`, { skip }, () => {
    const cells = cellsOf(extension, LAYOUTS[layout]);
    const seen = run(cells, thread === 'worker');
    for (const cell of cells) check(cell, seen[cell.name] ?? []);
  });
}
