/**
 * Schemas: the answers and parameters of /api/v1 as JSON Schema; fastify checks requests and shapes
 * answers by them. `additionalProperties` stays true in answers: a key that is new in the snapshot
 * must reach the page even before it is written down here (a test then asks for it).
 */
import { GUARD_MODES } from '../guard-status.ts';
import { forwardReportSchema } from './forward-schema.ts';
import { HISTORY_POINTS } from './history.ts';
import { numbersOf, object, type Schema } from './schema-parts.ts';
import { RECORDS_MAX, TOP_MEASURES, TOP_ROWS_MAX, TOP_SUBJECTS, TOP_WINDOWS } from './source.ts';

const number: Schema = { type: 'number' };
const text: Schema = { type: 'string' };
const numbers: Schema = { type: 'array', items: number };
const counts: Schema = { type: 'object', additionalProperties: number };

const exporter = object({
  address: text,
  state: { type: 'string', enum: ['connected', 'idle', 'gone'] },
  ...numbersOf('connections', 'records', 'bytes', 'recordsPerSecond', 'bytesPerSecond'),
  ...numbersOf('resyncBytes', 'truncatedBytes', 'lastSeenMs'),
});

const sink = object({
  name: text,
  ...numbersOf('received', 'delivered', 'filtered', 'malformed', 'pending', 'difference'),
  dropped: counts,
  ...numbersOf('lagBytes', 'lagMs', 'evictions'),
  source: text,
});

export const snapshotSchema = object({
  ...numbersOf('timeMs', 'startedMs'),
  version: text,
  state: { type: 'string', enum: ['starting', 'running', 'draining', 'stopped'] },
  ...numbersOf('recordsPerSecond', 'bytesPerSecond', 'recordsTotal'),
  intake: object({
    ...numbersOf('read', 'journaled', 'resync', 'truncated', 'inPages', 'difference'),
    dropped: counts,
    unreadAtDrain: number,
  }),
  sinks: { type: 'array', items: sink },
  forward: forwardReportSchema,
  exporters: { type: 'array', items: exporter },
  malformed: counts,
  tables: counts,
  resyncRuns: number,
  connections: object(numbersOf('open', 'accepted', 'limit')),
  refused: counts,
  closed: counts,
  workerDeaths: number,
  log: object({ lines: number, dropped: counts }),
  stalls: object(numbersOf('count', 'ms')),
  pages: object(numbersOf('total', 'free', 'bytes')),
  journal: object({
    ...numbersOf('position', 'nextOrdinal', 'segments', 'bytesOnDisk'),
    ...numbersOf('syncedPosition', 'syncMs', 'tornBytes', 'errors'),
  }),
  store: object(numbersOf('commits', 'flushMs', 'files', 'invalidText', 'misfits', 'errors')),
  process: object(numbersOf('rssBytes', 'cpuSeconds')),
  listeners: { type: 'array', items: text },
  pinning: object({
    mode: { type: 'string', enum: ['auto', 'off', 'explicit'] },
    state: { type: 'string', enum: ['off', 'watching', 'pinned', 'notPinned', 'letGo'] },
    reasons: { type: 'array', items: text },
    threads: {
      type: 'array',
      items: object({ name: text, cpus: text, waitFraction: { type: ['number', 'null'] } }),
    },
    memory: text,
    ...numbersOf('pins', 'helperMasks'),
    fallbacks: counts,
  }),
  guard: object({
    mode: { type: 'string', enum: GUARD_MODES },
    ...numbersOf('faults', 'refused'),
    file: text,
  }),
  reload: object({ ...numbersOf('timeMs', 'count'), ok: { type: 'boolean' }, text }),
});

export const errorSchema = object({ code: text, message: text, remedy: text });

export const historySchema = object({
  stepMs: number,
  timeMs: numbers,
  recordsPerSecond: numbers,
  bytesPerSecond: numbers,
  lagMs: numbers,
});

export const historyQuerySchema: Schema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    seconds: { type: 'integer', minimum: 1, maximum: HISTORY_POINTS, default: HISTORY_POINTS },
  },
};

export const exportersSchema = object({
  timeMs: number,
  exporters: { type: 'array', items: exporter },
});

export const topParamsSchema: Schema = {
  type: 'object',
  required: ['by'],
  properties: { by: { type: 'string', enum: TOP_SUBJECTS } },
};

export const topQuerySchema: Schema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    window: { type: 'string', enum: Object.keys(TOP_WINDOWS), default: '1m' },
    measure: { type: 'string', enum: TOP_MEASURES, default: 'bytes' },
    n: { type: 'integer', minimum: 1, maximum: TOP_ROWS_MAX, default: 10 },
  },
};

export const topSchema = object({
  by: text,
  window: text,
  measure: text,
  source: { type: 'string', enum: ['live', 'store'] },
  ...numbersOf('computedMs', 'tookMs', 'coveredMs'),
  rows: {
    type: 'array',
    items: object({ name: text, ...numbersOf('bytes', 'sessions', 'records') }),
  },
});

export const recordsQuerySchema: Schema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    filter: { type: 'string', default: '' },
    limit: { type: 'integer', minimum: 1, maximum: RECORDS_MAX, default: 50 },
  },
};

/** A record is what `dump` prints: record-json.ts. */
export const recordsSchema = object({
  records: { type: 'array', items: { type: 'object', additionalProperties: true } },
  ...numbersOf('searchedRecords', 'searchedBytes', 'damagedBytes'),
  oldestSearchedMs: { type: ['number', 'null'] },
  isWhole: { type: 'boolean' },
  endedBy: { type: 'string', enum: ['journal', 'limit', 'bytes', 'time', 'gone'] },
  tookMs: number,
});

export const healthSchema = object({ status: text });

/** Routes that take no parameters say so. */
export const noQuerySchema: Schema = {
  type: 'object',
  additionalProperties: false,
  properties: {},
};
