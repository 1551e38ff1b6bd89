/**
 * What a run of the simulated SCE can be told, with every check that can be made before it starts.
 */
import { isIPv6, type Socket } from 'node:net';
import { MillraceError } from '../toolkit/base/errors.ts';
import type { RecordStreamOptions } from './record-stream.ts';

/** 127.0.0.2 .. 127.0.0.251. */
export const EXPORTERS_MAX = 250;
export const CONNECTIONS_MAX = 1024;

export interface SendOptions {
  readonly host: string;
  readonly port: number;
  /** Seed, mix, faults ...; each connection gets its own stream of them. */
  readonly stream: Omit<RecordStreamOptions, 'connection'>;
  /** Records in all, divided over the connections; endless when left out. */
  readonly records?: number;
  /** Ends after so many seconds of real time, at the end of a record. */
  readonly seconds?: number;
  /** Records per second in all; as fast as the receiver takes them when left out. */
  readonly rate?: number;
  readonly connections?: number;
  /** Simulated SCEs: connection i comes from 127.0.0.(2 + i % exporters). Loopback targets only. */
  readonly exporters?: number;
  /** 'random': every write is cut at random byte positions, single bytes among them. */
  readonly chunk?: 'random';
  /** Ends each connection with half a record; by default where `malformedRatio` is above 0. */
  readonly halfRecordAtEnd?: boolean;
  /** SHA-256 of the bytes of each connection; on by default. */
  readonly hash?: boolean;
  /** Called with each socket once it is connected, before its first byte: to set socket options. */
  readonly onSocket?: (socket: Socket) => void;
}

export function checkSendOptions(options: SendOptions): void {
  const { connections = 1, exporters, records, seconds, rate, port } = options;
  whole('connections', connections, 1, CONNECTIONS_MAX);
  whole('port', port, 1, 65_535);
  if (records !== undefined) whole('records', records, 0, Number.MAX_SAFE_INTEGER);
  if (seconds !== undefined && !(seconds > 0)) refuse(`seconds ${seconds} is not above 0`);
  if (rate !== undefined && !(rate > 0)) refuse(`rate ${rate} is not above 0`);
  checkRatio('malformed', options.stream.malformedRatio);
  checkRatio('lies', options.stream.liesRatio);
  if (exporters === undefined) return;
  whole('exporters', exporters, 1, EXPORTERS_MAX);
  if (isLoopback4(options.host)) return;
  throw new MillraceError(
    'MR_USAGE',
    `exporters are simulated by addresses 127.0.0.x, which cannot reach ${options.host}`,
    'send to 127.0.0.1, or leave out the number of exporters',
  );
}

/** The address that connection `index` comes from; undefined leaves it to the kernel. */
export function localAddress(index: number, exporters: number | undefined): string | undefined {
  return exporters === undefined ? undefined : `127.0.0.${2 + (index % exporters)}`;
}

/** Records of connection `index`: the total divided, the first ones take what is left over. */
export function shareOf(total: number | undefined, index: number, connections: number): number {
  if (total === undefined) return Number.POSITIVE_INFINITY;
  return Math.floor(total / connections) + (index < total % connections ? 1 : 0);
}

function isLoopback4(host: string): boolean {
  return host === 'localhost' || (host.startsWith('127.') && !isIPv6(host));
}

function checkRatio(name: string, value = 0): void {
  if (!(value >= 0 && value <= 1)) refuse(`the ratio "${name}" is ${value}, not 0 to 1`);
}

function whole(name: string, value: number, low: number, high: number): void {
  if (Number.isInteger(value) && value >= low && value <= high) return;
  refuse(`${name} ${value} is not a whole number from ${low} to ${high}`);
}

function refuse(found: string): never {
  throw new MillraceError('MR_USAGE', found, 'see `millrace generate --help`');
}
