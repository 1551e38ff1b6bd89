/**
 * Send errors: whose fault it is that a socket took nothing.
 *
 * WHY      A connection that broke is made again and the same bytes go again. When it is the file,
 *          the next connection would break at the same byte, for ever.
 */
import { constants } from 'node:os';
import { EAGAIN, EINTR, ENOBUFS, ENODATA, ENOMEM } from '../../toolkit/sys/index.ts';

const { errno } = constants;

const NETWORK: ReadonlySet<number> = new Set([
  errno.ECONNABORTED,
  errno.ECONNREFUSED,
  errno.ECONNRESET,
  errno.EHOSTUNREACH,
  errno.ENETDOWN,
  errno.ENETRESET,
  errno.ENETUNREACH,
  errno.ENOTCONN,
  errno.EPIPE,
  errno.ETIMEDOUT,
]);
const SHORTAGE: ReadonlySet<number> = new Set([ENOMEM, ENOBUFS, EINTR]);

/** `full`: an event tells when not; `shortage`: nothing tells; `ended`: the file is too short. */
export type SendError = 'full' | 'shortage' | 'network' | 'ended' | 'other';

/** `result`: a negative one. */
export function sendError(result: number): SendError {
  if (result === -EAGAIN) return 'full';
  if (result === -ENODATA) return 'ended';
  if (SHORTAGE.has(-result)) return 'shortage';
  return NETWORK.has(-result) ? 'network' : 'other';
}
