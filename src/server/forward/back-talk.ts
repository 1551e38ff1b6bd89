/**
 * Back-talk: what a destination says. Nobody needs it; to read it shows when the destination ends.
 */
import { EAGAIN, errnoName, MSG_TRUNC, recv } from '../../toolkit/sys/index.ts';
import type { ConnectionCounts } from './connection-counts.ts';
import { sendError } from './send-errors.ts';

/** Per turn: calls of TALK_BYTES. */
const TALK_CALLS = 4;
const TALK_BYTES = 65_536;

/** Thrown away; shared, because nobody looks at it. */
const talk = new Uint8Array(TALK_BYTES);

/** `quiet`: nothing more now; `more`: read again; `closed`: the peer said that it ends. */
export type BackTalk = 'quiet' | 'more' | 'closed' | { readonly goneFor: string };

/** Reads and throws away; counted. */
export function readBackTalk(fd: number, counts: ConnectionCounts): BackTalk {
  for (let call = 0; call < TALK_CALLS; call++) {
    const got = recv(fd, talk, 0, TALK_BYTES, MSG_TRUNC);
    if (got === -EAGAIN) return 'quiet';
    if (got === 0) return 'closed';
    if (got < 0) return sendError(got) === 'shortage' ? 'more' : { goneFor: errnoName(got) };
    counts.talkedBackBytes += got;
  }
  return 'more';
}
