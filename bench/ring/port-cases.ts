/**
 * MessagePort: numbers one by one, and 64 of them in a Float64Array (copied).
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { RingCase, Run } from './case.ts';
import { sumBelow } from './section.ts';

function post(port: MessagePort, batch: number): Run {
  const values = new Float64Array(batch);
  return (items) => {
    if (batch === 1) {
      for (let value = 0; value < items; value++) port.postMessage(value);
      return 0;
    }
    for (let done = 0; done < items; done += batch) {
      for (let i = 0; i < batch; i++) values[i] = done + i;
      port.postMessage(values);
    }
    return 0;
  };
}

function receive(port: MessagePort): Run {
  let sum = 0;
  let left = 0;
  let done: (sum: number) => void = () => undefined;
  port.on('message', (message: number | Float64Array) => {
    if (typeof message === 'number') {
      sum += message;
      left--;
    } else {
      for (let i = 0; i < message.length; i++) sum += message[i]!;
      left -= message.length;
    }
    if (left === 0) done(sum);
  });
  return (items) => {
    sum = 0;
    left = items;
    return new Promise((resolve) => {
      done = resolve;
    });
  };
}

function portCase(batch: number): RingCase {
  return {
    threads: 2,
    share() {
      const { port1, port2 } = new MessageChannel();
      return [port1, port2].map((port) => ({ data: port, transfer: [port] }));
    },
    start(index, data) {
      const port = data as MessagePort;
      return index === 0 ? post(port, batch) : receive(port);
    },
    expected: sumBelow,
  };
}

export const PORT_CASES: Readonly<Record<string, RingCase>> = {
  'port-single': portCase(1),
  'port-batch-64': portCase(64),
};
