/**
 * Programs in children, with the guard's door and an addon with bugs at hand, and what they
 * reported.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ChildOptions,
  type ChildResult,
  runGuarded,
} from '../../src/toolkit/guard/child.test-data.ts';
import { type GuardReport, parseReports } from '../../src/toolkit/guard/index.ts';
import { addonSkipReason } from '../../src/toolkit/sys/index.ts';
import { compileC } from '../support/compile-c.ts';

const ROOT = join(import.meta.dirname, '../../..');
const HEADERS = join(ROOT, 'node_modules/node-api-headers/include');

/** Why tests of the guard cannot run here; false: they can. */
export function guardSkipReason(): string | false {
  return process.arch === 'x64' ? addonSkipReason() : 'the guard needs x86-64';
}

/** Path of the addon of culprit.c. */
export function buildCulprit(): string {
  const flags = ['-O1', '-shared', '-fPIC', '-Wno-unused-parameter', `-I${HEADERS}`];
  const path = compileC('culprit.c', { core: 'none', flags });
  if (path === null) throw new Error('no C compiler, although the addon of the guard was built');
  return path;
}

/** From 1: the line of a source of test/guard that has this text. */
export function lineOf(name: string, text: string): number {
  const lines = readFileSync(join(ROOT, 'test/guard', name), 'utf8').split('\n');
  return lines.findIndex((line) => line.includes(text)) + 1;
}

export interface Reported extends ChildResult {
  /** Of the JSON file. */
  readonly reports: readonly GuardReport[];
}

/**
 * Runs a module's text, which may die: `guard` is the door, `culprit` the addon with bugs where its
 * path is given.
 */
export function runReported(
  text: string,
  { addon, ...options }: ChildOptions & { readonly addon?: string } = {},
): Reported {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-guard-'));
  try {
    const file = join(folder, 'reports.jsonl');
    const load =
      addon === undefined
        ? ''
        : `const module = { exports: {} };
           process.dlopen(module, ${JSON.stringify(addon)});
           const culprit = module.exports;`;
    const result = runGuarded(`${load}\n${text}`, {
      ...options,
      env: { ...options.env, MILLRACE_GUARD_REPORT: file },
    });
    return { ...result, reports: parseReports(readFileSync(file, 'utf8')) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
