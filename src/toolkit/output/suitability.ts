/**
 * Suitability: one mechanism with one reclaim policy, on one socket: allowed, dearer, unsafe ...
 *
 * WHY         The table of what may be rewritten when, one function a row.
 * VERDICTS    chosen       of the allowed ones, the first (set by choose.ts)
 *             allowed      safe, and sends without a copy (copy itself: safe)
 *             dearer       safe, but the kernel copies and notifies: only by name
 *             named        safe where the caller knows why: only by name
 *             unsafe       a page could be rewritten while somebody reads it: never
 *             unavailable  this kernel, or this socket just now, does not offer it
 *             unfit        not for this kind of socket
 */
import type { ChooseInput } from './choose.ts';
import type { Mechanism } from './output-writer.ts';
import type { ProbeItem } from './probe.ts';
import type { ReclaimName } from './reclaim-policy.ts';

export const VERDICTS = [
  'chosen',
  'allowed',
  'dearer',
  'named',
  'unsafe',
  'unavailable',
  'unfit',
] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface Judgement {
  readonly verdict: Verdict;
  /** One sentence for people. */
  readonly reason: string;
}

export function judge(
  mechanism: Mechanism,
  reclaim: ReclaimName | null,
  input: ChooseInput,
): Judgement {
  switch (mechanism) {
    case 'copy':
      return say('allowed', 'the kernel copies: right for every socket and peer');
    case 'null':
      return say('named', 'sends nothing, counts');
    case 'file':
      return judgeFile(input);
    case 'tee':
      return judgeTee(input);
    case 'splice':
      return judgeReferences(input) ?? judgeSplice(reclaim, input);
    case 'msgZerocopy':
      return judgeNotified(input, input.probe.msgZerocopy);
    case 'uringZerocopy':
      return judgeNotified(input, input.probe.uringZerocopy);
  }
}

function say(verdict: Verdict, reason: string): Judgement {
  return { verdict, reason };
}

function isStream(input: ChooseInput): boolean {
  return input.socket.kind === 'tcp' || input.socket.kind === 'unixStream';
}

function judgeFile({ socket, probe }: ChooseInput): Judgement {
  if (socket.kind !== 'tcp' && socket.kind !== 'unixStream') {
    return say('unfit', `a file keeps no message boundaries, which ${socket.kind} has`);
  }
  if (!probe.sendfile.available) return lacking('sendfile', probe.sendfile);
  return say('allowed', 'the page cache goes out by reference, and the file never changes');
}

/** Why pages cannot go by reference on this socket at all, or null. */
function judgeReferences(input: ChooseInput): Judgement | null {
  const { socket, probe } = input;
  if (socket.kind === 'udp') return null;
  if (!isStream(input)) return say('unfit', `a socket of kind ${socket.kind} copies anyway`);
  if (!probe.vmsplice.available) return lacking('vmsplice', probe.vmsplice);
  const taken = socket.kind === 'tcp' ? probe.spliceTcp : probe.spliceUnix;
  return taken.available ? null : lacking('splice', taken);
}

function lacking(what: string, item: ProbeItem): Judgement {
  return say('unavailable', `${what} is not to be had: ${item.detail}`);
}

function judgeTee(input: ChooseInput): Judgement {
  if (!isStream(input)) return say('unfit', 'tee is for streams');
  const references = judgeReferences(input);
  if (references !== null) return references;
  if (!input.probe.tee.available) return lacking('tee', input.probe.tee);
  if (input.isPrepared !== true) return say('unavailable', 'the payload was not prepared for tee');
  return say('allowed', 'the payload is filled once and never changes');
}

function judgeSplice(reclaim: ReclaimName | null, input: ChooseInput): Judgement {
  const { socket } = input;
  if (reclaim === 'doubleBuffer') {
    return say('unsafe', 'a ring of any size is overtaken by a reader that pauses');
  }
  if (socket.kind === 'udp') return judgeSpliceUdp(reclaim);
  switch (reclaim) {
    case 'immutable':
      return say('allowed', 'the bytes never change: right for every peer');
    case 'ackedBytes':
      return judgeAcked(input);
    case 'peerQueue':
      return judgePeerQueue(input);
    case 'applicationAck':
      if (input.peerAcknowledges === true) {
        return say('allowed', 'the peer says what it has consumed: right for every way to it');
      }
      return say('unavailable', 'nobody passes on what the peer has consumed');
    default:
      return say('unfit', 'splice has no notifications');
  }
}

function judgeSpliceUdp(reclaim: ReclaimName | null): Judgement {
  if (reclaim === 'immutable') {
    return say('named', 'one datagram of at most 16 OS pages; a copy costs no more');
  }
  if (reclaim === 'ackedBytes' || reclaim === 'peerQueue') {
    return say('unsafe', 'UDP does not tell when a datagram has left, nor when it was read');
  }
  return say('unfit', 'UDP loses datagrams: no answer of the peer covers all of them');
}

function judgeAcked({ socket, probe }: ChooseInput): Judgement {
  if (socket.kind !== 'tcp') {
    return say('unsafe', 'the peer reads our very pages, from its receive queue');
  }
  if (socket.place === 'local') {
    const why = `${socket.reason}: an acknowledged page may lie unread in the peer's queue`;
    return say('unsafe', why);
  }
  if (!probe.unacked.available) return lacking('SIOCOUTQ', probe.unacked);
  return say('allowed', `${socket.reason}: what the peer acknowledged is read by nobody`);
}

function judgePeerQueue(input: ChooseInput): Judgement {
  const { socket, probe } = input;
  if (socket.kind === 'tcp' && socket.place === 'remote') {
    return say('unfit', 'the peer is on another machine');
  }
  if (input.peerReceives !== true) {
    return say('unavailable', 'nobody states that the peer copies its bytes by recv or read');
  }
  if (socket.kind === 'tcp' && !probe.sockDiag.available) {
    return lacking('sock_diag', probe.sockDiag);
  }
  if (input.peerFound !== true) {
    return say('unavailable', "the peer's socket is not to be found in this network namespace");
  }
  return say('allowed', 'what has left the queue of a peer that copies is read by nobody');
}

function judgeNotified({ socket }: ChooseInput, item: ProbeItem): Judgement {
  if (socket.kind !== 'tcp' && socket.kind !== 'udp') {
    return say('unfit', `a socket of kind ${socket.kind} gives no notifications`);
  }
  if (!item.available) return lacking('it', item);
  if (socket.place === 'local') {
    return say('dearer', `${socket.reason}: the kernel copies for it, and notifies besides`);
  }
  return say('allowed', 'the kernel says when each page is free');
}
