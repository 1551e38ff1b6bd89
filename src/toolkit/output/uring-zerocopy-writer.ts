/**
 * UringZerocopyWriter: IORING_OP_SEND_ZC on the ring of its thread, one call at a time.
 *
 * WHY         As right for every peer as MSG_ZEROCOPY, with notices in a ring in place of the error
 *             queue; on a NIC the cheaper of the two. Last in the order of choice, since io_uring
 *             is refused in most containers.
 * OWNERSHIP   The ring belongs to the thread (uring-ring.ts); the writer has a ledger of its calls.
 *             A closed writer may have notices outstanding: its pages are stale, the late notices
 *             fall into its ledger, which nobody reads any more.
 * INVARIANTS  write() is synchronous as for any writer: prepare, enter, take the result; only the
 *             notices come later, in reclaim().
 * EVENTS      Notices make wakeFd readable, not the socket; without it, call reclaim() now and
 *             then.
 * REFUSED     several sends in one enter (a writer has one write at a time); IO_LINK (a short send
 *             would cancel what follows).
 */
import { type NotifiedOptions, NotifiedWriter } from './notified-writer.ts';
import { type UringRing, uringOfThread } from './uring-ring.ts';

export class UringZerocopyWriter extends NotifiedWriter {
  readonly mechanism = 'uringZerocopy';
  readonly #ring: UringRing;

  /**
   * `fd`: a connected, non-blocking TCP or UDP socket; any other throws MR_OUTPUT_MECHANISM, and so
   * does a kernel or a container without io_uring.
   */
  constructor(fd: number, options: NotifiedOptions = {}) {
    super(fd, 'uringZerocopy', 0, options);
    this.#ring = uringOfThread();
  }

  /**
   * One fd for all writers of this thread, readable when notices wait; or -errno. Then call
   * reapThreadRing(), which clears it, and reclaim().
   */
  get wakeFd(): number {
    return this.#ring.wakeFd();
  }

  protected sendByReference(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): number {
    return this.#ring.send(this.fd, bytes, offset, length, this.calls, position);
  }

  protected readNotices(): number {
    this.#ring.reap();
    return 0;
  }
}
