/**
 * A stand-in for the server in the harness's tests: receives with node:net, frames, and says so.
 *
 * Takes the options of `millrace serve` that the harness gives and answers /api/v1/status with the
 * few keys that the harness reads. `--lose N` leaves N records out of its counts.
 */
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { frameLength } from '../../src/rdr/index.ts';

const PREFIX_BYTES = 5;

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    config: { type: 'string' },
    data: { type: 'string' },
    listen: { type: 'string', default: '127.0.0.1:0' },
    http: { type: 'string', default: '127.0.0.1:0' },
    lose: { type: 'string', default: '0' },
  },
});

const totals = { records: -Number(values.lose), bytes: 0 };

function receive(socket: Socket): void {
  let held: Uint8Array = new Uint8Array(0);
  socket.on('data', (chunk: Buffer) => {
    totals.bytes += chunk.length;
    const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    let at = 0;
    while (bytes.length - at >= PREFIX_BYTES) {
      const length = frameLength(bytes, at);
      if (length < 0 || bytes.length - at < length) break;
      at += length;
      totals.records++;
    }
    held = bytes.subarray(at);
  });
}

function snapshot(): object {
  const { records, bytes } = totals;
  const intake = { read: bytes, resync: 0, truncated: 0, dropped: {}, inPages: 0, difference: 0 };
  return { state: 'running', recordsTotal: records, intake, sinks: [], tables: {}, malformed: {} };
}

function listenAddress(text: string): { host: string; port: number } {
  const [host, port] = text.split(':');
  return { host: host!, port: Number(port) };
}

createServer(receive).listen(listenAddress(values.listen));
createHttpServer((_request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(snapshot()));
}).listen(listenAddress(values.http));
process.once('SIGTERM', () => process.exit(0));
