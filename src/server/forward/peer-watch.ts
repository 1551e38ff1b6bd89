/**
 * Peer watch: does the peer of a connection that waits for acknowledgements still answer?
 *
 * WHY         One that has vanished is to be noticed within userTimeoutMs. One whose program reads
 *             nothing for minutes (its disk is slow, it collects garbage) is there: its TCP has
 *             closed the window, and answers when it is asked. To end that connection would cost
 *             what the two sockets hold, and help nobody: the next one stands still as well.
 * RULE        TCP asks by sending: data, or probes of a closed window. A peer is silent that has
 *             been asked, and has said nothing since for userTimeoutMs. While TCP asks nothing (it
 *             probes rarer and rarer, up to every two minutes) nobody is silent; nor is one that
 *             owes one probe an answer: a lost one would be missed for two minutes, and Linux
 *             answers two probes within half a second once (tcp_invalid_ratelimit).
 * COST        TCP_INFO, which takes the socket's lock, where an ask of stream-acks.ts at its rarest
 *             brought nothing: eight times a second for a peer that stands still, else never.
 * REFUSED     TCP_USER_TIMEOUT: it ends a connection whose window is closed for so long, whether
 *             the probes are answered or not. Keep-alive: TCP sends none while data waits.
 */
import {
  TCP_INFO_BYTES,
  tcpInfo,
  tcpLastAckMs,
  tcpProbes,
  tcpSegmentsUnacked,
} from '../../toolkit/sys/index.ts';

/** Read and forgotten; shared by all connections of the thread. */
const info = new Uint8Array(TCP_INFO_BYTES);
const infoView = new DataView(info.buffer);

/** Probes of a closed window that must be unanswered: see RULE. */
const PROBES_MIN = 2;

export class PeerWatch {
  /** When it answered, or had nothing to answer. */
  #heardMs = 0;

  /** It acknowledged something, or from now on it has something to acknowledge. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  /** Nothing new was acknowledged: whether it has been silent for so long; 0: never. */
  isSilent(fd: number, nowMs: number, userTimeoutMs: number): boolean {
    if (userTimeoutMs === 0) return false;
    // What cannot be asked is taken for silent: then acknowledgements alone count.
    if (tcpInfo(fd, info) > 0) {
      const isAsked = tcpSegmentsUnacked(infoView) > 0 || tcpProbes(infoView) >= PROBES_MIN;
      const answeredMs = isAsked ? nowMs - tcpLastAckMs(infoView) : nowMs;
      this.#heardMs = Math.max(this.#heardMs, answeredMs);
    }
    return nowMs - this.#heardMs >= userTimeoutMs;
  }
}
