import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../base/errors.ts';
import {
  type ChooseInput,
  chooseOutput,
  type OutputChoice,
  PAYLOAD_KINDS,
  type PayloadKind,
} from './choose.ts';
import { type Place, SOCKET_KINDS, type SocketClass } from './classify.ts';
import { MECHANISMS, type Mechanism } from './output-writer.ts';
import { type KernelProbe, PROBE_NAMES, type ProbeName } from './probe.ts';
import { RECLAIM_NAMES, type ReclaimName } from './reclaim-policy.ts';

/** What the choice looks at; a kernel offers what is in the set. */
const USED: readonly ProbeName[] = [
  'vmsplice',
  'spliceTcp',
  'spliceUnix',
  'tee',
  'sendfile',
  'msgZerocopy',
  'uringZerocopy',
  'unacked',
  'sockDiag',
];

function kernel(offered: (name: ProbeName) => boolean): KernelProbe {
  const items = Object.fromEntries(
    PROBE_NAMES.map((name) => [name, { available: offered(name), detail: `${name}: made up` }]),
  );
  const none = { available: false, detail: 'made up' };
  return {
    ...(items as Record<ProbeName, typeof none>),
    kernel: '0',
    pipes: { ...none, defaultBytes: 0, grantedBytes: 0, maxBytes: 0, userPagesSoft: 0 },
    memory: { ...none, memlockBytes: 0, optmemBytes: 0 },
  };
}

const KERNELS = Array.from({ length: 1 << USED.length }, (_, bits) =>
  kernel((name) => (bits & (1 << USED.indexOf(name))) !== 0),
);
const FULL = KERNELS.at(-1)!;
const BARE = KERNELS[0]!;

function socketOf(kind: SocketClass['kind'], place: Place): SocketClass {
  const family = kind.startsWith('unix') ? 'unix' : 4;
  return { family, kind, place, device: 'eth0', reason: 'made up' };
}

/** UNIX sockets and unknown ones are never remote. */
const SOCKETS = SOCKET_KINDS.flatMap((kind) =>
  kind.startsWith('unix') || kind === 'other'
    ? [socketOf(kind, 'local')]
    : [socketOf(kind, 'local'), socketOf(kind, 'remote')],
);

/**
 * The table of facts, written without looking at the code: may a page that went out in this way be
 * rewritten, when the policy says so?
 */
function isSafe(mechanism: Mechanism, reclaim: ReclaimName | null, input: ChooseInput): boolean {
  const { kind, place } = input.socket;
  if (mechanism === 'copy' || mechanism === 'null') return reclaim === null;
  if (reclaim === 'immutable') return input.payload !== 'pages';
  if (reclaim === 'notification') {
    const notifies = mechanism === 'msgZerocopy' || mechanism === 'uringZerocopy';
    return notifies && (kind === 'tcp' || kind === 'udp');
  }
  if (mechanism !== 'splice') return false;
  if (reclaim === 'ackedBytes') return kind === 'tcp' && place === 'remote';
  if (reclaim === 'peerQueue') {
    if (input.peerReceives !== true) return false;
    if (input.peerFound !== true) return false;
    return kind === 'unixStream' || (kind === 'tcp' && place === 'local');
  }
  if (reclaim === 'applicationAck') {
    return input.peerAcknowledges === true && (kind === 'tcp' || kind === 'unixStream');
  }
  return false;
}

/** What the kernel must offer for it to work at all. */
function isOffered(mechanism: Mechanism, reclaim: ReclaimName | null, input: ChooseInput): boolean {
  const { probe, socket, payload } = input;
  const byReference =
    probe.vmsplice.available &&
    (socket.kind === 'tcp' ? probe.spliceTcp : probe.spliceUnix).available;
  switch (mechanism) {
    case 'copy':
      return payload !== 'file';
    case 'file':
      return payload === 'file' && probe.sendfile.available;
    case 'tee':
      return payload === 'payload' && probe.tee.available && byReference;
    case 'splice':
      if (socket.kind === 'udp') return input.mechanism === 'splice' || input.reclaim !== undefined;
      if (reclaim === 'ackedBytes' && !probe.unacked.available) return false;
      if (reclaim === 'peerQueue' && socket.kind === 'tcp' && !probe.sockDiag.available) {
        return false;
      }
      return byReference && payload !== 'file';
    case 'msgZerocopy':
      return probe.msgZerocopy.available;
    case 'uringZerocopy':
      return probe.uringZerocopy.available;
    default:
      return input.mechanism === 'null';
  }
}

function choose(input: ChooseInput): OutputChoice | MillraceError {
  try {
    return chooseOutput(input);
  } catch (error) {
    assert.ok(error instanceof MillraceError, String(error));
    return error;
  }
}

const FLAGS = Array.from({ length: 16 }, (_, bits) => ({
  peerReceives: (bits & 1) !== 0,
  peerFound: (bits & 2) !== 0,
  peerAcknowledges: (bits & 4) !== 0,
  isPrepared: (bits & 8) !== 0,
}));

/** Throws unless the choice is safe, offered, and told with one chosen verdict. */
function checkChoice(choice: OutputChoice, input: ChooseInput): void {
  const { mechanism, reclaim } = choice;
  if (!isSafe(mechanism, reclaim, input) || !isOffered(mechanism, reclaim, input)) {
    assert.fail(`${mechanism} ${reclaim} for ${JSON.stringify({ ...input, probe: undefined })}`);
  }
  const chosen = choice.considered.filter(({ verdict }) => verdict === 'chosen');
  assert.equal(chosen.length, 1);
  assert.equal(chosen[0]!.mechanism, mechanism);
  assert.equal(chosen[0]!.reclaim, reclaim);
}

test('no automatic choice is unsafe, over every kernel, socket, payload and statement', () => {
  let count = 0;
  for (const probe of KERNELS) {
    for (const socket of SOCKETS) {
      for (const payload of PAYLOAD_KINDS) {
        for (const flags of FLAGS) {
          const input = { probe, socket, payload, ...flags };
          const choice = choose(input);
          count += 1;
          if (choice instanceof MillraceError) {
            // Only a file may find nothing: on sockets with boundaries, or without sendfile.
            assert.equal(choice.code, 'MR_OUTPUT_MECHANISM');
            assert.equal(payload, 'file');
            continue;
          }
          assert.notEqual(choice.reclaim, 'doubleBuffer');
          assert.notEqual(choice.mechanism, 'null');
          checkChoice(choice, input);
        }
      }
    }
  }
  assert.equal(count, 512 * SOCKETS.length * 3 * 16);
});

test('nothing asked for by name is unsafe, and doubleBuffer is refused everywhere', () => {
  for (const probe of [FULL, BARE]) {
    for (const socket of SOCKETS) {
      for (const payload of PAYLOAD_KINDS) {
        for (const flags of FLAGS) {
          for (const mechanism of [undefined, ...MECHANISMS]) {
            for (const reclaim of [undefined, ...RECLAIM_NAMES]) {
              if (mechanism === undefined && reclaim === undefined) continue;
              const input: ChooseInput = {
                probe,
                socket,
                payload,
                ...flags,
                ...(mechanism === undefined ? {} : { mechanism }),
                ...(reclaim === undefined ? {} : { reclaim }),
              };
              const choice = choose(input);
              if (choice instanceof MillraceError) {
                assert.equal(choice.code, 'MR_OUTPUT_MECHANISM');
                assert.notEqual(choice.remedy, '');
                continue;
              }
              assert.notEqual(choice.reclaim, 'doubleBuffer');
              assert.equal(choice.mechanism, mechanism ?? choice.mechanism);
              assert.equal(choice.reclaim, reclaim ?? choice.reclaim);
              assert.equal(choice.copyBelowBytes, 0, 'what was named is done for every size');
              checkChoice(choice, input);
            }
          }
        }
      }
    }
  }
});

interface Row {
  readonly kind: SocketClass['kind'];
  readonly place: Place;
  readonly payload: PayloadKind;
  readonly input?: Partial<ChooseInput>;
  readonly lacks?: readonly ProbeName[];
  readonly want: string;
}

const LOCAL_PEER = { peerReceives: true, peerFound: true } as const;

const ROWS: readonly Row[] = [
  { kind: 'tcp', place: 'remote', payload: 'pages', want: 'splice ackedBytes' },
  {
    kind: 'tcp',
    place: 'remote',
    payload: 'pages',
    lacks: ['vmsplice'],
    want: 'msgZerocopy notification',
  },
  {
    kind: 'tcp',
    place: 'remote',
    payload: 'pages',
    lacks: ['unacked', 'msgZerocopy'],
    want: 'uringZerocopy notification',
  },
  {
    kind: 'tcp',
    place: 'remote',
    payload: 'pages',
    lacks: ['spliceTcp', 'msgZerocopy', 'uringZerocopy'],
    want: 'copy null',
  },
  { kind: 'tcp', place: 'remote', payload: 'pages', input: LOCAL_PEER, want: 'splice ackedBytes' },
  { kind: 'tcp', place: 'local', payload: 'pages', want: 'copy null' },
  { kind: 'tcp', place: 'local', payload: 'pages', input: LOCAL_PEER, want: 'splice peerQueue' },
  {
    kind: 'tcp',
    place: 'local',
    payload: 'pages',
    input: { peerReceives: true },
    want: 'copy null',
  },
  { kind: 'tcp', place: 'local', payload: 'pages', input: { peerFound: true }, want: 'copy null' },
  {
    kind: 'tcp',
    place: 'local',
    payload: 'pages',
    input: LOCAL_PEER,
    lacks: ['sockDiag'],
    want: 'copy null',
  },
  {
    kind: 'tcp',
    place: 'local',
    payload: 'pages',
    input: { peerAcknowledges: true },
    want: 'splice applicationAck',
  },
  { kind: 'unixStream', place: 'local', payload: 'pages', want: 'copy null' },
  {
    kind: 'unixStream',
    place: 'local',
    payload: 'pages',
    input: LOCAL_PEER,
    want: 'splice peerQueue',
  },
  { kind: 'udp', place: 'local', payload: 'pages', input: LOCAL_PEER, want: 'copy null' },
  { kind: 'udp', place: 'remote', payload: 'pages', want: 'msgZerocopy notification' },
  {
    kind: 'udp',
    place: 'remote',
    payload: 'pages',
    lacks: ['msgZerocopy', 'uringZerocopy'],
    want: 'copy null',
  },
  { kind: 'sctp', place: 'remote', payload: 'pages', want: 'copy null' },
  { kind: 'unixDatagram', place: 'local', payload: 'pages', want: 'copy null' },
  { kind: 'other', place: 'local', payload: 'payload', want: 'copy null' },
  { kind: 'sctp', place: 'local', payload: 'payload', want: 'copy null' },
  { kind: 'tcp', place: 'local', payload: 'payload', want: 'splice immutable' },
  { kind: 'tcp', place: 'remote', payload: 'payload', want: 'splice immutable' },
  { kind: 'unixStream', place: 'local', payload: 'payload', want: 'splice immutable' },
  {
    kind: 'tcp',
    place: 'local',
    payload: 'payload',
    input: { isPrepared: true },
    want: 'tee immutable',
  },
  {
    kind: 'unixStream',
    place: 'local',
    payload: 'payload',
    input: { isPrepared: true },
    lacks: ['tee'],
    want: 'splice immutable',
  },
  { kind: 'tcp', place: 'local', payload: 'payload', lacks: ['vmsplice'], want: 'copy null' },
  { kind: 'udp', place: 'remote', payload: 'payload', want: 'msgZerocopy notification' },
  { kind: 'udp', place: 'local', payload: 'payload', want: 'copy null' },
  { kind: 'tcp', place: 'local', payload: 'file', want: 'file immutable' },
  { kind: 'unixStream', place: 'local', payload: 'file', want: 'file immutable' },
];

test('the table of choices', () => {
  for (const { kind, place, payload, input, lacks = [], want } of ROWS) {
    const choice = chooseOutput({
      probe: kernel((name) => !lacks.includes(name)),
      socket: socketOf(kind, place),
      payload,
      ...input,
    });
    const stated = JSON.stringify(input ?? {});
    const name = `${kind} ${place} ${payload} ${stated} without ${lacks.join()}`;
    assert.equal(`${choice.mechanism} ${choice.reclaim}`, want, name);
    assert.ok(choice.reason.length > 10);
  }
});

test('a file on a datagram socket, or without sendfile, is one clear error', () => {
  for (const [probe, kind] of [
    [FULL, 'udp'],
    [FULL, 'sctp'],
    [FULL, 'unixDatagram'],
    [BARE, 'tcp'],
  ] as const) {
    const error = choose({ probe, socket: socketOf(kind, 'local'), payload: 'file' });
    assert.ok(error instanceof MillraceError);
    assert.equal(error.code, 'MR_OUTPUT_MECHANISM');
    assert.match(error.remedy, /memory/);
  }
});

test('an error by name says what was found', () => {
  const error = choose({
    probe: kernel((name) => name !== 'uringZerocopy'),
    socket: socketOf('tcp', 'remote'),
    payload: 'pages',
    mechanism: 'uringZerocopy',
  });
  assert.ok(error instanceof MillraceError);
  assert.match(error.message, /uringZerocopy is not to be had .* uringZerocopy: made up/);
  const unsafe = choose({
    probe: FULL,
    socket: socketOf('tcp', 'local'),
    payload: 'pages',
    reclaim: 'doubleBuffer',
  });
  assert.ok(unsafe instanceof MillraceError);
  assert.match(unsafe.message, /overtaken/);
});

test('short writes are copied, but not where that would spoil the count of the stream', () => {
  const remote = { probe: FULL, payload: 'pages', socket: socketOf('tcp', 'remote') } as const;
  const splice = chooseOutput(remote);
  assert.ok(splice.copyBelowBytes > 0 && splice.turnBelowBytes > splice.copyBelowBytes);
  const zerocopy = chooseOutput({ ...remote, probe: kernel((name) => name === 'msgZerocopy') });
  assert.ok(zerocopy.copyBelowBytes > splice.copyBelowBytes, 'each call has its notice');
  const local = { ...remote, socket: socketOf('tcp', 'local') } as const;
  for (const input of [local, { ...local, peerAcknowledges: true }]) {
    const { copyBelowBytes, turnBelowBytes } = chooseOutput(input);
    assert.deepEqual([copyBelowBytes, turnBelowBytes], [0, 0]);
  }
});
