/**
 * TCP options of a destination, for a socket that is about to connect or one that stands: a reload
 * sets them anew. One that the kernel refuses is left as it is: it tunes, and decides nothing.
 * userTimeoutMs is none of them: see peer-watch.ts.
 */
import { setKeepAlive, setSocketOption } from '../../toolkit/sys/index.ts';
import type { DestinationOptions } from './options.ts';

const KEEP_ALIVE_PROBES = 3;

export function setTcpOptions(fd: number, destination: DestinationOptions): void {
  const { keepAliveMs, sendBufferBytes } = destination;
  setSocketOption(fd, 'noDelay', 1);
  // Once set the kernel tunes it no more: 0 is for the next socket.
  if (sendBufferBytes > 0) setSocketOption(fd, 'sendBufferBytes', sendBufferBytes);
  if (keepAliveMs <= 0) {
    setSocketOption(fd, 'keepAlive', 0);
    return;
  }
  const idleSeconds = Math.max(1, Math.ceil(keepAliveMs / 1000));
  setKeepAlive(fd, idleSeconds, Math.max(1, idleSeconds >> 2), KEEP_ALIVE_PROBES);
}
