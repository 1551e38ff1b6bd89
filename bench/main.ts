/**
 * The bench command: `npm run bench -- NAME [--json] [--out FILE] [options of the bench]`.
 *
 * Prints a table, or with --json the result (bench/lib/result.ts); --out also writes the JSON to a
 * file, which `npm run bench -- doc` puts into docs/benchmarks.md. Progress goes to standard error.
 * Exit code: 0 also where a target is missed (a number is no test), 1 when it could not be
 * measured, 2 for wrong usage.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { describeError, EXIT_FAILED, MillraceError } from '../src/toolkit/base/errors.ts';
import { arenaBench } from './arena.ts';
import type { Bench, BenchValues } from './bench.ts';
import { decodeBench } from './decode-bench.ts';
import { writeBenchmarksPage } from './doc.ts';
import { forwardBench } from './forward.ts';
import { generateBench } from './generate-bench.ts';
import { guardBench } from './guard.ts';
import { describeOtherLoad } from './lib/machine.ts';
import { formatTable, makeResult } from './lib/result.ts';
import { pinningBench } from './pinning.ts';
import { pipelineBench } from './pipeline.ts';
import { ringBench } from './ring.ts';

const BENCHES: readonly Bench[] = [
  pipelineBench,
  decodeBench,
  generateBench,
  arenaBench,
  pinningBench,
  ringBench,
  guardBench,
  forwardBench,
];

const HELP_REMEDY = 'see npm run bench -- help';

function usage(): string {
  const lines = ['usage: npm run bench -- NAME [--json] [--out FILE] [options]', ''];
  for (const bench of BENCHES) {
    lines.push(`${bench.name}: ${bench.description}`);
    for (const option of bench.options) {
      const head = `  --${option.name} ${option.argument}`.padEnd(26);
      lines.push(`${head} ${option.help} (${option.default})`);
    }
    lines.push('');
  }
  lines.push('doc: writes docs/benchmarks.md anew from docs/benchmarks/*.json');
  return lines.join('\n');
}

interface Parsed {
  readonly values: BenchValues;
  readonly isJson: boolean;
  readonly out: string | undefined;
}

function parse(bench: Bench, parameters: string[]): Parsed {
  const options: Record<string, { type: 'string' | 'boolean' }> = {
    json: { type: 'boolean' },
    out: { type: 'string' },
  };
  for (const { name } of bench.options) options[name] = { type: 'string' };
  let found: Record<string, unknown>;
  try {
    found = parseArgs({ args: parameters, options }).values;
  } catch (error) {
    throw new MillraceError('MR_USAGE', (error as Error).message, HELP_REMEDY, { cause: error });
  }
  const values: Record<string, string> = {};
  for (const option of bench.options) {
    const value = found[option.name];
    values[option.name] = typeof value === 'string' ? value : option.default;
  }
  const out = typeof found.out === 'string' ? found.out : undefined;
  return { values, isJson: found.json === true, out };
}

async function main(): Promise<void> {
  const [name, ...parameters] = process.argv.slice(2);
  if (name === undefined || name === 'help' || process.argv.includes('--help')) {
    console.log(usage());
    return;
  }
  if (name === 'doc') {
    console.log(`wrote ${writeBenchmarksPage()}`);
    return;
  }
  const bench = BENCHES.find((one) => one.name === name);
  if (bench === undefined) {
    throw new MillraceError('MR_USAGE', `there is no bench named ${name}`, HELP_REMEDY);
  }
  const { values, isJson, out } = parse(bench, parameters);
  const busy = describeOtherLoad();
  if (busy !== null) process.stderr.write(`${busy}\n`);
  const rows = await bench.run(values, (text) => {
    process.stderr.write(`${text}\n`);
  });
  const result = makeResult(bench.name, rows, bench.note?.());
  const json = `${JSON.stringify(result, null, 2)}\n`;
  if (out !== undefined) {
    mkdirSync(dirname(out), { recursive: true });
    writeFileSync(out, json);
  }
  process.stdout.write(isJson ? json : formatTable(result));
}

/** Children are killed when this process exits; a signal must get that far. */
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => process.exit(EXIT_FAILED));
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = error instanceof MillraceError ? error.exitCode : EXIT_FAILED;
}
