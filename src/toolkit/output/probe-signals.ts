/**
 * Probe of what proves that a page is free again: queues, notifications, the peer's socket.
 */
import {
  bytesUnacked,
  checked,
  closeFd,
  EPOLLERR,
  EPOLLIN,
  errnoName,
  localName,
  MSG_ZEROCOPY,
  peerName,
  receiveNotifications,
  recv,
  SOCKADDR_BYTES_MAX,
  send,
  setSocketOption,
  socketCreate,
} from '../sys/index.ts';
import { NotificationReclaim } from './notification-reclaim.ts';
import {
  attempt,
  offered,
  openTcpPair,
  PROBE_BYTES,
  type ProbeItem,
  refused,
  waitFor,
} from './probe-attempt.ts';
import { SockDiag, socketQuestion } from './sock-diag.ts';
import { UringRing } from './uring-ring.ts';

/** SIOCOUTQ of TCP: how much the peer has not acknowledged. */
export function probeUnacked(): ProbeItem {
  return attempt((keep) => {
    const [sender, receiver] = openTcpPair(keep);
    const bytes = new Uint8Array(PROBE_BYTES);
    checked('send', send(sender, bytes, 0, bytes.length));
    const unacked = checked('SIOCOUTQ', bytesUnacked(sender));
    waitFor(receiver, EPOLLIN);
    checked('recv', recv(receiver, bytes, 0, bytes.length));
    return unacked <= PROBE_BYTES ? offered('SIOCOUTQ') : refused(`SIOCOUTQ says ${unacked}`);
  });
}

/** MSG_ZEROCOPY: accepted, notified; on loopback the kernel copies and says so. */
export function probeMsgZerocopy(): ProbeItem {
  return attempt((keep) => {
    const [sender] = openTcpPair(keep);
    checked('SO_ZEROCOPY', setSocketOption(sender, 'zeroCopy', 1));
    const bytes = new Uint8Array(PROBE_BYTES);
    checked('send', send(sender, bytes, 0, bytes.length, MSG_ZEROCOPY));
    waitFor(sender, EPOLLERR);
    const notice = new Int32Array(3);
    checked('MSG_ERRQUEUE', receiveNotifications(sender, notice, 1));
    const code = notice[0]!;
    if (code < 0) return refused(`the error queue says ${errnoName(code)}`);
    return offered(code === 0 ? 'notified' : 'notified; copied on loopback');
  });
}

/** io_uring(7): a ring is granted, knows SEND_ZC, sends and notifies. */
export function probeUring(): ProbeItem {
  return attempt((keep) => {
    const ring = new UringRing();
    try {
      const [sender, receiver] = openTcpPair(keep);
      const ledger = new NotificationReclaim(0);
      const bytes = new Uint8Array(PROBE_BYTES);
      checked('SEND_ZC', ring.send(sender, bytes, 0, bytes.length, ledger, 0));
      waitFor(receiver, EPOLLIN);
      checked('recv', recv(receiver, bytes, 0, bytes.length));
      if (ring.openCount > 0) waitFor(checked('eventfd', ring.wakeFd()), EPOLLIN);
      ring.reap();
      if (ledger.openCount > 0) return refused('SEND_ZC was not notified');
      return offered(ledger.copiedCount > 0 ? 'notified; copied on loopback' : 'notified');
    } finally {
      ring.close();
    }
  });
}

/** sock_diag(7): is the receive queue of a peer on this machine to be seen? */
export function probeSockDiag(): ProbeItem {
  return attempt((keep) => {
    const diag = new SockDiag();
    try {
      const [sender, receiver] = openTcpPair(keep);
      const bytes = new Uint8Array(PROBE_BYTES);
      checked('send', send(sender, bytes, 0, bytes.length));
      waitFor(receiver, EPOLLIN);
      const question = socketQuestion(nameBy(peerName, sender), nameBy(localName, sender));
      checked('sock_diag', diag.ask(question));
      const queued = diag.receiveQueueBytes;
      if (queued !== bytes.length) return refused(`it says ${queued} of ${bytes.length} bytes`);
      return offered("the peer's queue is to be seen");
    } finally {
      diag.close();
    }
  });
}

function nameBy(name: typeof localName, fd: number): Uint8Array {
  const sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX);
  return sockaddr.slice(0, checked('getsockname', name(fd, sockaddr)));
}

export function probeSctp(): ProbeItem {
  const fd = socketCreate(4, 'sctp');
  if (fd < 0) return refused(`socket: ${errnoName(fd)}`);
  closeFd(fd);
  return offered('sends are copies');
}
