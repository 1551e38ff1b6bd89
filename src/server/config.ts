/**
 * Configuration: every key with its default, its unit in its name and its range.
 *
 * WHY        One strict schema: an unknown or out-of-range key stops the start with the path of the
 *            key, what was found and what is allowed. `docs/reference/config.md` is generated from
 *            it.
 * INVARIANTS The result is plain, frozen data: it travels to workers as it is.
 * REFUSED    Environment variables as a second way to say the same; silently clamped values.
 */
import { readFileSync } from 'node:fs';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { MillraceError } from '../toolkit/base/errors.ts';
import { COLLECT_SLOTS, PAGE_BYTES } from '../toolkit/base/limits.ts';
import { parseCidr } from './address.ts';
import { configProblems } from './config-problems.ts';
import { forwardSchema } from './forward-config.ts';
import { GUARD_MODES } from './guard-status.ts';

const MIB = 1024 * 1024;
const GB = 1_000_000_000;
const HOUR_MS = 3_600_000;

const bytes = (min: number, max: number) => z.number().int().min(min).max(max);
const ms = (min: number, max: number) => z.number().int().min(min).max(max);

const collect = z.strictObject({
  workers: z.number().int().min(1).max(64).default(1).describe('collect workers (threads)'),
  lingerMs: ms(1, 10_000)
    .default(20)
    .describe('a block is committed at the latest after this time'),
  readBytes: bytes(16_384, 262_144)
    .default(131_072)
    .describe('most bytes taken by one recv(2); larger reads fall out of the cache'),
  inFlightBlockCountMax: z
    .number()
    .int()
    .min(1)
    .max(COLLECT_SLOTS)
    .default(COLLECT_SLOTS)
    .describe('blocks received and not yet journaled; fewer lose less at a kill, absorb less'),
  connectionCountMax: z
    .number()
    .int()
    .min(1)
    .max(1024)
    .default(64)
    .describe('open exporter connections; further ones are closed and counted'),
  idleTimeoutMs: ms(1_000, 86_400_000)
    .default(600_000)
    .describe('a connection without a byte for this time is closed'),
  keepAliveMs: ms(0, 7_200_000)
    .default(60_000)
    .describe('TCP keep-alive: idle time before the first probe; 0 = off'),
  receiveBufferBytes: bytes(0, 1_073_741_824)
    .default(0)
    .describe('SO_RCVBUF of exporter connections; 0 = the kernel tunes it'),
  receiveLowWaterBytes: bytes(1, 1_048_576)
    .default(1)
    .describe(
      'SO_RCVLOWAT: bytes that must wait before a wake-up; the linger timer reads the rest',
    ),
  allow: z
    .array(
      z.string().refine((text) => parseCidr(text) !== null, { message: 'not an address or CIDR' }),
    )
    .default([])
    .describe('addresses or CIDR blocks that may connect; empty = everybody'),
});

const pages = z.strictObject({
  // Offsets into the arena stay below 2^31: the walks over frames compute with 32-bit integers.
  arenaBytes: bytes(32 * MIB, 2048 * MIB - PAGE_BYTES)
    .default(128 * MIB)
    .describe('shared memory for received bytes; absorbs a slow disk'),
});

const journal = z.strictObject({
  sync: z
    .enum(['none', 'interval', 'always'])
    .default('interval')
    .describe('when fdatasync(2) runs: see docs/guarantees.md'),
  syncIntervalMs: ms(10, 600_000).default(1_000).describe('with sync: interval'),
  segmentBytes: bytes(1 * MIB, 4096 * MIB)
    .default(256 * MIB)
    .describe('size of a segment file'),
  retentionMs: ms(1_000, 10 * 365 * 24 * HOUR_MS)
    .default(24 * HOUR_MS)
    .describe('segments older than this are removed once every reader has consumed them'),
  retentionBytes: bytes(1 * MIB, 1e15)
    .default(50 * GB)
    .describe('the oldest consumed segments are removed above this size'),
  capBytes: bytes(2 * MIB, 1e15)
    .default(100 * GB)
    .describe('above this size segments go even if a reader needs them: dropped{retention}'),
});

const store = z.strictObject({
  flushMs: ms(100, 600_000)
    .default(5_000)
    .describe('rows are committed at the latest after this time'),
  flushRows: z
    .number()
    .int()
    .min(1_000)
    .max(2_000_000)
    .default(131_072)
    .describe('or at this count'),
  memoryLimitBytes: bytes(64 * MIB, 1e12)
    .default(256 * MIB)
    .describe('memory_limit of DuckDB'),
  threadCount: z.number().int().min(1).max(64).default(1).describe('threads of DuckDB'),
  compression: z
    .enum(['zstd', 'lz4_raw', 'snappy', 'uncompressed'])
    .default('zstd')
    .describe('codec of the Parquet files'),
  mergeFileCount: z
    .number()
    .int()
    .min(2)
    .max(10_000)
    .default(32)
    .describe('so many plain files of one table and hour are rewritten as one, compressed'),
  compactAfterMs: ms(1_000, 24 * HOUR_MS)
    .default(120_000)
    .describe('an hour is compacted this long after its end'),
  unlinkAfterMs: ms(0, 24 * HOUR_MS)
    .default(600_000)
    .describe('removed files stay this long for queries that are reading them'),
  retentionMs: ms(60_000, 100 * 365 * 24 * HOUR_MS)
    .default(14 * 24 * HOUR_MS)
    .describe('age at which the rows of a table go'),
  retentionByTableMs: z
    .record(z.string(), ms(60_000, 100 * 365 * 24 * HOUR_MS))
    .default({ traffic_minute: 90 * 24 * HOUR_MS, traffic_hour: 400 * 24 * HOUR_MS })
    .describe('the same for single tables'),
  malformedRowsPerHour: z
    .number()
    .int()
    .min(0)
    .max(10_000_000)
    .default(100_000)
    .describe('malformed records kept with their bytes; the others are only counted'),
});

const guard = z.strictObject({
  mode: z
    .enum(GUARD_MODES)
    .default('off')
    .describe(
      'write-protects pages that are shared, in flight or free, and reports who writes into them:' +
        ' report: the server then dies as after a crash; continue: it goes on;' +
        ' see docs/guides/find-memory-corruption.md',
    ),
});

const dashboard = z.strictObject({
  clientCountMax: z.number().int().min(1).max(1_000).default(32).describe('live pages at once'),
});

/** A worker by role, or by role and index; the main thread; all threads that are no worker. */
const PIN_NAME = /^(?:(?:collect|journal|keeper|store|forward|catchup)(?:-\d{1,2})?|main|helpers)$/;
const PIN_WORDS = ['auto', 'off'] as const;
const PIN_NAMES =
  'names: collect, journal, keeper, store, forward, catchup (each also with -0, -1, ...), main,' +
  ' helpers';
const PIN_EXPECTED =
  'expected auto, off, or a map as { collect: 2, journal: 3, store: 0-1, main: 0, helpers: 0 };' +
  ` ${PIN_NAMES}`;

const cpu = z.strictObject({
  pin: z
    .union(
      [
        z.enum(PIN_WORDS),
        z
          .record(z.string(), z.union([z.string().min(1), z.number().int().min(0).max(8191)]))
          .superRefine((map, context) => {
            for (const name of Object.keys(map)) {
              if (PIN_NAME.test(name)) continue;
              context.addIssue({
                code: 'custom',
                path: [name],
                message: `no such name; ${PIN_NAMES}`,
              });
            }
          }),
      ],
      { error: PIN_EXPECTED },
    )
    .default('auto')
    .describe(
      'auto: the CPUs are watched for a second, workers pinned only if these are theirs alone;' +
        ' off; or CPUs by worker, `main` and `helpers`: see docs/guides/cpu-binding.md',
    ),
});

const log = z.strictObject({
  level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default('info'),
});

export const configSchema = z.strictObject({
  listen: z
    .array(z.string())
    .min(1)
    .default(['127.0.0.1:33000'])
    .describe('HOST:PORT for exporters; IPv6 as [::1]:33000; port 0 = any free one'),
  http: z
    .union([z.string(), z.null()])
    .default('127.0.0.1:8033')
    .describe('HOST:PORT of the page, the API and /metrics; null = none'),
  data: z.string().min(1).default('./millrace-data').describe('the data folder'),
  sink: z.enum(['store', 'null']).default('store').describe('null: journal only, nothing decoded'),
  stages: z
    .enum(['frame', 'journal', 'decode', 'latency', 'all'])
    .default('all')
    .describe('for benchmarks: how far records go; everything but `all` loses them'),
  collect: collect.prefault({}),
  pages: pages.prefault({}),
  journal: journal.prefault({}),
  store: store.prefault({}),
  forward: forwardSchema.prefault({}),
  cpu: cpu.prefault({}),
  guard: guard.prefault({}),
  dashboard: dashboard.prefault({}),
  log: log.prefault({}),
});

export type Config = Readonly<z.output<typeof configSchema>>;
export type ConfigInput = z.input<typeof configSchema>;

/** Validates plain data. `where` names its origin in errors. Throws MR_CONFIG_KEY. */
export function makeConfig(input: unknown, where = 'configuration'): Config {
  const given = input ?? {};
  const result = configSchema.safeParse(given, { reportInput: true });
  if (!result.success) {
    const lines = configProblems(configSchema, given, result.error.issues);
    throw new MillraceError(
      'MR_CONFIG_KEY',
      `${where}: ${lines.join('; ')}`,
      'see docs/reference/config.md for all keys, their ranges and defaults',
    );
  }
  const config = result.data;
  const { capBytes, retentionBytes } = config.journal;
  if (capBytes < retentionBytes) {
    throw new MillraceError(
      'MR_CONFIG_KEY',
      `${where}: journal.capBytes ${capBytes} is below journal.retentionBytes ${retentionBytes}`,
      'the hard cap must be at least the retention',
    );
  }
  return freezeAll(config);
}

function freezeAll<T extends object>(data: T): T {
  for (const value of Object.values(data)) {
    if (typeof value === 'object' && value !== null) freezeAll(value as object);
  }
  return Object.freeze(data);
}

/**
 * Reads a YAML file into plain data (not yet validated). Throws MR_CONFIG_FILE with line and
 * column.
 */
export function readConfigFile(path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new MillraceError(
      'MR_CONFIG_FILE',
      `${path}: ${(error as Error).message}`,
      'give the path of a readable YAML file after -c',
      { cause: error },
    );
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const problem = document.errors[0];
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0]);
    throw new MillraceError(
      'MR_CONFIG_FILE',
      `${path}:${line}:${col}: ${problem.message.split('\n')[0]}`,
      'correct the YAML at this place',
    );
  }
  const data: unknown = plainData(path, document) ?? {};
  if (typeof data !== 'object' || Array.isArray(data)) {
    throw new MillraceError(
      'MR_CONFIG_FILE',
      `${path}: not a YAML mapping`,
      'write `key: value` lines',
    );
  }
  return data as Record<string, unknown>;
}

/** Aliases are resolved here, so that one without an anchor, or a bomb of them, is told here. */
function plainData(path: string, document: ReturnType<typeof parseDocument>): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw new MillraceError(
      'MR_CONFIG_FILE',
      `${path}: ${(error as Error).message}`,
      'write the value instead of the alias',
      { cause: error },
    );
  }
}
