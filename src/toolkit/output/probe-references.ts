/**
 * Probe of sending by reference: do pipes and sockets refer to our pages, or hold copies?
 *
 * WHY         A kernel may turn vmsplice(2) into a copy (patches of 2026 do), an emulation may copy
 *             everywhere. What is a copy is safe, but dearer than send(2).
 * PROOF       A page is written, handed over, written again, and read at the other end: the later
 *             bytes mean that nothing was copied.
 */
import {
  checked,
  EPOLLIN,
  openFile,
  pread,
  read,
  recv,
  sendfile,
  splice,
  tee,
  vmsplice,
} from '../sys/index.ts';
import {
  attempt,
  offered,
  openPipe,
  openTcpPair,
  openUnixPair,
  PROBE_BYTES,
  type ProbeItem,
  refused,
  waitFor,
} from './probe-attempt.ts';

const EARLIER = 0x5a;
const LATER = 0xa5;

/** vmsplice(2): does a pipe refer to our page? */
export function probeVmsplice(): ProbeItem {
  return attempt((keep) => {
    const [out, into] = openPipe(keep);
    const page = hand(into);
    return judge(page, (bytes) => read(out, bytes, 0, bytes.length), 'a pipe');
  });
}

/** tee(2): does a second pipe refer to the same page? */
export function probeTee(): ProbeItem {
  return attempt((keep) => {
    const [out, into] = openPipe(keep);
    const [secondOut, secondInto] = openPipe(keep);
    const page = hand(into);
    checked('tee', tee(out, secondInto, PROBE_BYTES));
    return judge(page, (bytes) => read(secondOut, bytes, 0, bytes.length), 'a second pipe');
  });
}

/** splice(2) to a UNIX stream: does the receive queue refer to our page? */
export function probeSpliceUnix(): ProbeItem {
  return attempt((keep) => {
    const [sender, receiver] = openUnixPair(keep);
    const [out, into] = openPipe(keep);
    const page = hand(into);
    checked('splice', splice(out, sender, PROBE_BYTES));
    return judge(page, (bytes) => recv(receiver, bytes, 0, bytes.length), 'a UNIX socket');
  });
}

/** splice(2) to TCP over loopback: does the receive queue refer to our page? */
export function probeSpliceTcp(): ProbeItem {
  return attempt((keep) => {
    const [sender, receiver] = openTcpPair(keep);
    const [out, into] = openPipe(keep);
    const page = hand(into);
    checked('splice', splice(out, sender, PROBE_BYTES));
    waitFor(receiver, EPOLLIN);
    return judge(page, (bytes) => recv(receiver, bytes, 0, bytes.length), 'a TCP socket');
  });
}

/** sendfile(2) of a file that is certainly there: this program. */
export function probeSendfile(): ProbeItem {
  return attempt((keep) => {
    const [sender, receiver] = openUnixPair(keep);
    const file = keep(checked('open', openFile(process.execPath, ['read']), process.execPath));
    const sent = checked('sendfile', sendfile(sender, file, 0, PROBE_BYTES));
    const wanted = new Uint8Array(sent);
    const found = new Uint8Array(sent);
    checked('pread', pread(file, wanted, 0, sent, 0));
    checked('recv', recv(receiver, found, 0, sent));
    const isSame = sent > 0 && wanted.every((byte, index) => byte === found[index]);
    return isSame ? offered('files go from the page cache') : refused('other bytes arrived');
  });
}

/** A page full of EARLIER in the pipe, changed to LATER since. */
function hand(into: number): Uint8Array {
  const page = new Uint8Array(PROBE_BYTES).fill(EARLIER);
  checked('vmsplice', vmsplice(into, page, 0, PROBE_BYTES));
  return page;
}

function judge(page: Uint8Array, take: (bytes: Uint8Array) => number, what: string): ProbeItem {
  page.fill(LATER);
  const found = new Uint8Array(PROBE_BYTES);
  const length = checked('read', take(found));
  // The page lies on two OS pages: both must have been passed by reference.
  const isAll = (value: number): boolean => found.subarray(0, length).every((b) => b === value);
  if (length > 0 && isAll(LATER)) return offered(`${what} refers to our pages`);
  return refused(length > 0 && isAll(EARLIER) ? `${what} holds a copy` : 'other bytes arrived');
}
