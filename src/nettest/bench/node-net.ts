/**
 * Plain node:net: socket.write of a Buffer, and on at 'drain', as any program would.
 *
 * WHY         What a person compares with: the way that needs no addon. The sockets are made like
 *             those of the other rows and then given to node:net, so that their options agree.
 */
import { Socket } from 'node:net';
import { Stopwatch } from './agent.ts';
import { POOL_BYTES, type SendCommand, type Transfer } from './agent-protocol.ts';

/** The memory is shared; node:net wants a Buffer, which refers to a copy that is made here once. */
function messagesOf(bytes: Uint8Array, messageBytes: number): readonly Buffer[] {
  const pool = Buffer.from(bytes);
  return Array.from({ length: POOL_BYTES / messageBytes }, (_, index) =>
    pool.subarray(index * messageBytes, (index + 1) * messageBytes),
  );
}

/** Takes over the fds: they are closed with their sockets. */
export async function sendByNodeNet(
  command: SendCommand,
  fds: readonly number[],
  bytes: Uint8Array,
): Promise<Transfer> {
  const messages = messagesOf(bytes, command.messageBytes);
  const sockets = fds.map((fd) => new Socket({ fd, readable: true, writable: true }));
  const stopwatch = new Stopwatch();
  const ended = sockets.map((socket) => pump(socket, messages, () => stopwatch.seconds, command));
  await Promise.all(ended);
  const sent = sockets.reduce((sum, socket) => sum + socket.bytesWritten, 0);
  return { bytes: sent, ...stopwatch.stop() };
}

/** Resolves when the receiver has closed. */
function pump(
  socket: Socket,
  messages: readonly Buffer[],
  secondsNow: () => number,
  { seconds }: SendCommand,
): Promise<void> {
  let next = 0;
  const write = (): void => {
    while (secondsNow() < seconds) {
      const hasRoom = socket.write(messages[next]!);
      next = next + 1 === messages.length ? 0 : next + 1;
      if (!hasRoom) return;
    }
    socket.end();
  };
  return new Promise((resolve, reject) => {
    socket.on('drain', write);
    socket.once('error', reject);
    socket.once('close', () => resolve());
    socket.resume();
    write();
  });
}
