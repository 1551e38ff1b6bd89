/**
 * Guard demo 5: memory is written after it was given back.
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { allocGuarded, nameThread } from '../../toolkit/guard/index.ts';

function stampTime(message: Uint8Array): void {
  message[8] = 0x2a;
}

/** The bug: a retry with the message of before, which its owner has given back meanwhile. */
async function send(message: Uint8Array): Promise<void> {
  stampTime(message);
  parentPort!.postMessage('sent');
  await once(parentPort!, 'message');
  stampTime(message);
}

if (isMainThread) {
  const message = allocGuarded(4096, { shared: true, label: 'outgoing message' });
  const sender = new Worker(new URL(import.meta.url), { workerData: message.view });
  sender.once('message', () => {
    message.release();
    sender.postMessage('there was no answer');
  });
} else {
  nameThread('sender', 'sends messages');
  await send(workerData as Uint8Array);
}
