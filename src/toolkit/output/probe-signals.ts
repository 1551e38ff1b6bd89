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
  MSG_ZEROCOPY,
  receiveNotifications,
  recv,
  send,
  setSocketOption,
  socketCreate,
  URING_PARAMS_BYTES,
  uringSetup,
} from '../sys/index.ts';
import {
  attempt,
  offered,
  openTcpPair,
  PROBE_BYTES,
  type ProbeItem,
  refused,
  waitFor,
} from './probe-attempt.ts';

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

/** io_uring(7): may this process have a ring? */
export function probeUring(): ProbeItem {
  const fd = uringSetup(2, new Uint8Array(URING_PARAMS_BYTES));
  if (fd < 0) return refused(`io_uring_setup: ${errnoName(fd)}`);
  closeFd(fd);
  return offered('a ring may be made');
}

const NETLINK_SOCK_DIAG = 4;

/** sock_diag(7): may we look at the peer's socket on this machine? */
export function probeSockDiag(): ProbeItem {
  const fd = socketCreate('netlink', 'datagram', NETLINK_SOCK_DIAG);
  if (fd < 0) return refused(`socket: ${errnoName(fd)}`);
  closeFd(fd);
  return offered('sockets of this namespace can be asked for');
}

export function probeSctp(): ProbeItem {
  const fd = socketCreate(4, 'sctp');
  if (fd < 0) return refused(`socket: ${errnoName(fd)}`);
  closeFd(fd);
  return offered('sends are copies');
}
