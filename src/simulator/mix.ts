/**
 * Mixes: which record types a simulated SCE sends, how often, and how its texts look.
 *
 * A mix is plain data: one of the named ones below, or a JSON file of the same shape (an example is
 * bench/load/busy-evening.json). Keys that a file leaves out come from the `default` mix, except
 * `weights` and `periodic`, which are taken whole.
 */
import { MillraceError } from '../toolkit/base/errors.ts';
import { LAYOUT_INDEX, LAYOUTS } from './layout.ts';

/** A report that is sent at every full multiple of its period of virtual time. */
export interface PeriodicReport {
  readonly periodSeconds: number;
  /** Records per period: one for each simulated counter. */
  readonly records: number;
}

export interface Mix {
  readonly description: string;
  /** Table name -> relative share of the records that are not periodic reports. */
  readonly weights: Readonly<Record<string, number>>;
  /** Table name -> reports that are sent besides, by the virtual clock. */
  readonly periodic: Readonly<Record<string, PeriodicReport>>;
  /** Speed of the virtual clock: records of `weights` per second of virtual time and connection. */
  readonly virtualRecordsPerSecond: number;
  /** Share of records that carry the extra trailing fields some releases send, 0 .. 1. */
  readonly extraFieldsRatio: number;
  /** Share of access strings that never came before, 0 .. 1. */
  readonly freshHostRatio: number;
  /** Share of info strings that never came before, 0 .. 1. */
  readonly freshPathRatio: number;
  readonly longPaths: boolean;
}

/** Period of reports that a mix draws by weight and not by the clock. */
export const DRAWN_PERIOD_SECONDS = 60;

/** Counters of a report that is drawn by weight. */
export const DRAWN_REPORT_KEYS = 240;

const REPORTS: Readonly<Record<string, PeriodicReport>> = {
  link_usage: { periodSeconds: 60, records: 120 },
  package_usage: { periodSeconds: 60, records: 240 },
  virtual_links_usage: { periodSeconds: 60, records: 120 },
  zone_usage: { periodSeconds: 60, records: 60 },
  realtime_subscriber_usage: { periodSeconds: 60, records: 200 },
  malicious_traffic_periodic: { periodSeconds: 60, records: 10 },
  generic_usage: { periodSeconds: 300, records: 60 },
  subscriber_usage: { periodSeconds: 300, records: 600 },
};

const DEFAULT: Mix = {
  description: 'an SCE in an access network: mostly Transaction Usage, with reports by the clock',
  weights: {
    transaction_usage: 620,
    http_transaction_usage: 140,
    video_transaction_usage: 60,
    transaction: 50,
    media_flow: 20,
    anonymized_http_transaction_usage: 20,
    voip_transaction_usage: 15,
    rtsp_transaction_usage: 10,
    flow_start: 10,
    flow_ongoing: 6,
    flow_end: 10,
    service_block: 10,
    radius: 6,
    dhcp: 6,
    session_creation: 3,
    quota_status: 3,
    quota_breach_v2: 2,
    quota_threshold_breach_v2: 2,
    quota_breach: 1,
    remaining_quota: 2,
    quota_threshold_breach: 1,
    quota_state_restore: 1,
    spam: 1,
    attack_start: 1,
    attack_end: 1,
  },
  periodic: REPORTS,
  virtualRecordsPerSecond: 5000,
  extraFieldsRatio: 0.3,
  freshHostRatio: 0.4,
  freshPathRatio: 0.5,
  longPaths: true,
};

function only(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, 1]));
}

export const MIXES: Readonly<Record<string, Mix>> = Object.freeze({
  default: DEFAULT,
  tur: {
    ...DEFAULT,
    description: 'Transaction Usage only, about 248 bytes a record: the load of the benchmarks',
    weights: only(['transaction_usage']),
    periodic: {},
    extraFieldsRatio: 0.1,
    longPaths: false,
  },
  all: {
    ...DEFAULT,
    description: 'all 33 record types, equally often',
    weights: only(LAYOUTS.map((layout) => layout.tableName)),
    periodic: {},
    extraFieldsRatio: 0.5,
  },
  events: {
    ...DEFAULT,
    description: 'flows, attacks, blocking, quota and login events; no usage records',
    weights: {
      flow_start: 30,
      flow_ongoing: 20,
      flow_end: 30,
      service_block: 10,
      attack_start: 2,
      attack_end: 2,
      quota_breach: 4,
      quota_threshold_breach: 4,
      remaining_quota: 4,
      quota_state_restore: 4,
      session_creation: 4,
      quota_status: 4,
      quota_breach_v2: 4,
      quota_threshold_breach_v2: 4,
      dhcp: 10,
      radius: 10,
      spam: 2,
    },
    periodic: {},
  },
  periodic: {
    ...DEFAULT,
    description: 'usage reports by the clock, with few transactions between them',
    weights: only(['transaction_usage']),
    virtualRecordsPerSecond: 100,
  },
});

/** The mix of that name; MR_USAGE for a name that is none. */
export function namedMix(name: string): Mix {
  const mix = Object.hasOwn(MIXES, name) ? MIXES[name] : undefined;
  if (mix !== undefined) return mix;
  throw new MillraceError(
    'MR_USAGE',
    `there is no mix named "${name}"`,
    `give one of ${Object.keys(MIXES).join(', ')}, or the path of a .json file`,
  );
}

/** A mix from the text of a JSON file; MR_CONFIG_KEY names the key that is wrong. */
export function parseMix(text: string, fileName: string): Mix {
  const data = parseObject(text, fileName);
  for (const key of Object.keys(data)) {
    if (!Object.hasOwn(DEFAULT, key)) refuse(fileName, key, 'is not a key of a mix');
  }
  const mix = { ...DEFAULT, ...data } as Mix;
  checkWeights(mix, fileName);
  for (const [name, report] of Object.entries(asObject(mix.periodic, fileName, 'periodic'))) {
    const key = `periodic.${name}`;
    if (!LAYOUT_INDEX.has(name)) refuse(fileName, key, 'is not a table name');
    const { periodSeconds, records } = asObject(report, fileName, key);
    checkWhole(periodSeconds, 1, 86_400, fileName, `${key}.periodSeconds`);
    // Every counter of a link has 60 services, and a link id is one signed byte.
    checkWhole(records, 1, 7200, fileName, `${key}.records`);
  }
  checkWhole(mix.virtualRecordsPerSecond, 1, 1e7, fileName, 'virtualRecordsPerSecond');
  for (const key of ['extraFieldsRatio', 'freshHostRatio', 'freshPathRatio'] as const) {
    const value: unknown = mix[key];
    if (typeof value !== 'number' || !(value >= 0 && value <= 1)) {
      refuse(fileName, key, 'must be a number from 0 to 1');
    }
  }
  if (typeof mix.longPaths !== 'boolean') refuse(fileName, 'longPaths', 'must be true or false');
  return mix;
}

function checkWeights(mix: Mix, fileName: string): void {
  let total = 0;
  for (const [name, weight] of Object.entries(asObject(mix.weights, fileName, 'weights'))) {
    const key = `weights.${name}`;
    if (!LAYOUT_INDEX.has(name)) refuse(fileName, key, 'is not a table name');
    if (typeof weight !== 'number' || !(weight >= 0 && weight <= 1e9)) {
      refuse(fileName, key, 'must be a number from 0 to 1e9');
    }
    total += weight;
  }
  if (total <= 0) refuse(fileName, 'weights', 'must hold at least one weight above 0');
}

function parseObject(text: string, fileName: string): Record<string, unknown> {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw new MillraceError(
      'MR_CONFIG_FILE',
      `the mix ${fileName} is not JSON: ${(cause as Error).message}`,
      'see bench/load/busy-evening.json for the shape',
      { cause },
    );
  }
  return asObject(data, fileName, 'the file');
}

function asObject(value: unknown, fileName: string, key: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  return refuse(fileName, key, 'must be an object');
}

function checkWhole(value: unknown, low: number, high: number, file: string, key: string): void {
  if (Number.isInteger(value) && (value as number) >= low && (value as number) <= high) return;
  refuse(file, key, `must be a whole number from ${low} to ${high}`);
}

function refuse(fileName: string, key: string, what: string): never {
  throw new MillraceError(
    'MR_CONFIG_KEY',
    `in the mix ${fileName}, ${key} ${what}`,
    'see bench/load/busy-evening.json for the shape',
  );
}
