/**
 * Probe report: what this kernel does for output, and what would be chosen for which connection.
 *
 * WHY         "Why is it slow here" and "why is MSG_ZEROCOPY not used" have one place to look. The
 *             choices are made by the same function that openOutput() uses, for made-up connections
 *             of each kind, or for the route to a host that is asked about.
 */

import { MillraceError } from '../toolkit/base/errors.ts';
import {
  type ChooseInput,
  chooseOutput,
  classifySocket,
  type KernelProbe,
  type OutputChoice,
  PROBE_NAMES,
  type SocketClass,
} from '../toolkit/output/index.ts';
import { checked, closeFd, connectTo, socketCreate } from '../toolkit/sys/index.ts';
import { resolveTarget } from './target.ts';

/** One line of the second table. */
export interface ProbedChoice {
  readonly socket: SocketClass;
  readonly payload: ChooseInput['payload'];
  /** What the caller would have stated, '' for nothing. */
  readonly statement: string;
  /** Null: nothing can send this there; `error` says why. */
  readonly choice: OutputChoice | null;
  readonly error: string;
}

export interface ProbeReport {
  readonly probe: KernelProbe;
  /** The way to the host that was asked about. */
  readonly route: SocketClass | null;
  readonly choices: readonly ProbedChoice[];
}

type Statement = Pick<ChooseInput, 'peerReceives' | 'peerFound' | 'isPrepared'>;

interface Case {
  readonly kind: SocketClass['kind'];
  readonly payload: ChooseInput['payload'];
  readonly statement?: string;
  readonly input?: Statement;
  /** Only for a peer in this place. */
  readonly place?: SocketClass['place'];
}

const RECEIVES = {
  statement: 'peer receives by recv()',
  input: { peerReceives: true, peerFound: true },
} as const;
const PREPARED = { statement: 'laid into pipes', input: { isPrepared: true } } as const;

const CASES: readonly Case[] = [
  { kind: 'tcp', payload: 'pages' },
  { kind: 'tcp', payload: 'pages', place: 'local', ...RECEIVES },
  { kind: 'tcp', payload: 'payload' },
  { kind: 'tcp', payload: 'payload', ...PREPARED },
  { kind: 'tcp', payload: 'file' },
  { kind: 'udp', payload: 'pages' },
  { kind: 'unixStream', payload: 'pages', place: 'local' },
  { kind: 'unixStream', payload: 'pages', place: 'local', ...RECEIVES },
  { kind: 'unixStream', payload: 'payload', place: 'local' },
  { kind: 'unixStream', payload: 'payload', place: 'local', ...PREPARED },
  { kind: 'unixStream', payload: 'file', place: 'local' },
  { kind: 'unixDatagram', payload: 'pages', place: 'local' },
  { kind: 'sctp', payload: 'pages', place: 'local' },
];

/** Choices for both places, or for the one that `route` says. */
export function probeReport(probe: KernelProbe, route: SocketClass | null = null): ProbeReport {
  const places = route === null ? (['local', 'remote'] as const) : [route.place];
  const choices = places.flatMap((place) =>
    CASES.filter((one) => (one.place ?? place) === place)
      .filter(({ kind }) => route === null || !kind.startsWith('unix'))
      .map((one) => chooseFor(probe, one, place, route)),
  );
  return { probe, route, choices };
}

function chooseFor(
  probe: KernelProbe,
  { kind, payload, statement = '', input }: Case,
  place: SocketClass['place'],
  route: SocketClass | null,
): ProbedChoice {
  const family = kind.startsWith('unix') ? 'unix' : (route?.family ?? 4);
  const reason = place === 'local' ? 'the peer is on this machine' : 'the peer is elsewhere';
  const socket = { family, kind, place, device: '', reason, ...pick(route) } as SocketClass;
  const common = { socket, payload, statement };
  try {
    const choice = chooseOutput({ probe, socket, payload, ...input });
    return { ...common, choice, error: '' };
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return { ...common, choice: null, error: error.message };
  }
}

function pick(route: SocketClass | null): Partial<SocketClass> {
  return route === null ? {} : { device: route.device, reason: route.reason };
}

const PROBE_PORT = 9;

/**
 * The way to a host: a UDP socket is connected, which sends nothing. Errors: MR_ADDRESS (unknown),
 * MR_SYSCALL (no route).
 */
export async function routeTo(host: string): Promise<SocketClass> {
  const { family, sockaddr } = await resolveTarget({ kind: 'ip', host, port: PROBE_PORT });
  const fd = checked('socket', socketCreate(family, 'datagram'));
  try {
    checked('connect', connectTo(fd, sockaddr), host);
    return classifySocket(fd);
  } finally {
    closeFd(fd);
  }
}

export const PROBE_HEAD = ['what', 'here', 'found'] as const;

/** Rows of the first table, under PROBE_HEAD. */
export function probeRows(probe: KernelProbe): readonly (readonly string[])[] {
  const row = (name: string): readonly string[] => {
    const { available, detail } = probe[name as (typeof PROBE_NAMES)[number]];
    return [name, available ? 'yes' : 'no', detail];
  };
  return [...PROBE_NAMES, 'pipes', 'memory'].map(row);
}

export const CHOICE_HEAD = ['socket', 'peer', 'sends', 'by', 'reclaim', 'copies below'] as const;

/** Rows of the second table, under CHOICE_HEAD; each has its reason below it (whyLines). */
export function choiceRows(choices: readonly ProbedChoice[]): readonly (readonly string[])[] {
  return choices.map(({ socket, payload, statement, choice }) => [
    socket.kind,
    socket.place,
    statement === '' ? payload : `${payload}, ${statement}`,
    choice?.mechanism ?? '-',
    choice?.reclaim ?? '-',
    sizeText(choice),
  ]);
}

/** Why this one was chosen, a statement a line. */
export function whyLines({ choice, error }: ProbedChoice): readonly string[] {
  return (choice?.reason ?? error).split('; ').map((line) => `    ${line}`);
}

/** Bytes a write, or a turn. */
function sizeText(choice: OutputChoice | null): string {
  const { turnBelowBytes = 0, copyBelowBytes = 0 } = choice ?? {};
  if (turnBelowBytes > 0) return `${turnBelowBytes} a turn`;
  return copyBelowBytes > 0 ? `${copyBelowBytes} a write` : '-';
}

export const REASON_HEAD = ['mechanism', 'reclaim', 'verdict', 'why'] as const;

/** Everything that was considered for one choice, under REASON_HEAD. */
export function reasonRows({ choice, error }: ProbedChoice): readonly (readonly string[])[] {
  if (choice === null) return [['-', '-', 'unavailable', error]];
  return choice.considered.map(({ mechanism, reclaim, verdict, reason }) => [
    mechanism,
    reclaim ?? '-',
    verdict,
    reason,
  ]);
}
