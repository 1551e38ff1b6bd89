import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fakeDown, fakeForward, fakePair } from '../../../test/support/fake-forward.ts';
import { FakeSource } from '../../../test/support/fake-source.ts';
import { SegmentBuilder, temporaryFolder } from '../../../test/support/journal-files.ts';
import { VECTOR } from '../../../test/support/records.ts';
import { MillraceError } from '../../toolkit/base/errors.ts';
import { type Dashboard, type DashboardOptions, startDashboard } from './dashboard.ts';
import { forwardSchema } from './forward-schema.ts';
import { recordsSchema, snapshotSchema } from './schemas.ts';

const opened: Dashboard[] = [];
after(async () => {
  await Promise.all(opened.map((dashboard) => dashboard.close()));
});

async function start(source: FakeSource, more: Partial<DashboardOptions> = {}) {
  const dashboard = await startDashboard({ host: '127.0.0.1', port: 0, source, ...more });
  opened.push(dashboard);
  return dashboard;
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

/** By node:http, as fetch does not let a Host header be set. */
function ask(
  dashboard: Dashboard,
  target: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const url = new URL(target, dashboard.url);
    const request = http.request(url, { method, headers, agent: false, path: target }, (reply) => {
      let text = '';
      reply.setEncoding('utf8');
      reply.on('data', (chunk) => {
        text += chunk;
      });
      reply.on('end', () => resolve({ status: reply.statusCode!, headers: reply.headers, text }));
    });
    request.on('error', reject);
    request.end();
  });
}

function assertError(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, answer.text);
  const error = JSON.parse(answer.text);
  assert.deepEqual(Object.keys(error).toSorted(), ['code', 'message', 'remedy']);
  assert.equal(error.code, code);
  assert.ok(error.message.length > 0 && error.remedy.length > 0);
}

test('/api/v1/status is the snapshot, every key of it, and each is in the schema', async () => {
  const source = new FakeSource();
  for (let i = 0; i < 20; i += 1) source.advance();
  const answer = await ask(await start(source), '/api/v1/status');
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['cache-control'], 'no-store');
  assert.match(answer.headers['content-type']!, /^application\/json/);
  assert.deepEqual(JSON.parse(answer.text), source.snapshot());
  assertSchemaNames(snapshotSchema, source.snapshot(), 'snapshot');
});

test('/api/v1/forward has the channels alone, in the status they are whole', async () => {
  const source = new FakeSource();
  const dashboard = await start(source);
  const nothing = await ask(dashboard, '/api/v1/forward');
  assert.deepEqual(JSON.parse(nothing.text), { timeMs: source.snapshot().timeMs, channels: [] });
  assert.equal(JSON.parse((await ask(dashboard, '/api/v1/status')).text).forward, null);
  const forward = fakeForward([fakeDown('dead'), fakePair('pair', true)]);
  source.set({ forward });
  const status = await ask(dashboard, '/api/v1/status');
  assert.deepEqual(JSON.parse(status.text).forward, forward);
  assertSchemaNames(snapshotSchema, source.snapshot(), 'snapshot');
  const answer = await ask(dashboard, '/api/v1/forward');
  const { timeMs, channels } = forward;
  assert.deepEqual(JSON.parse(answer.text), { timeMs, channels });
  assertSchemaNames(forwardSchema, { timeMs, channels }, 'forward');
});

/** Every key of the value is a property of the schema and the other way round, at every depth. */
function assertSchemaNames(schema: object, value: unknown, where: string): void {
  const { properties, items } = schema as {
    properties?: Record<string, object>;
    items?: object;
  };
  if (Array.isArray(value)) {
    if (items !== undefined) for (const one of value) assertSchemaNames(items, one, `${where}[]`);
    return;
  }
  if (properties === undefined || typeof value !== 'object' || value === null) return;
  assert.deepEqual(Object.keys(properties).toSorted(), Object.keys(value).toSorted(), where);
  for (const [key, inner] of Object.entries(value)) {
    assertSchemaNames(properties[key]!, inner, `${where}.${key}`);
  }
}

test('history, exporters and tops answer as documented', async () => {
  const source = new FakeSource({ names: ['<b>x</b>'] });
  source.advance();
  const dashboard = await start(source);
  const history = JSON.parse((await ask(dashboard, '/api/v1/history?seconds=5')).text);
  assert.deepEqual(history.timeMs, [source.snapshot().timeMs]);
  assert.deepEqual(history.recordsPerSecond, [source.snapshot().recordsPerSecond]);
  const { exporters } = JSON.parse((await ask(dashboard, '/api/v1/exporters')).text);
  assert.deepEqual(exporters, source.snapshot().exporters);
  const top = await ask(dashboard, '/api/v1/top/subscribers?window=15m&measure=sessions&n=3');
  const { rows, ...about } = JSON.parse(top.text);
  assert.equal(rows.length, 3);
  assert.equal(rows[0].name, '<b>x</b>');
  assert.equal(about.source, 'store');
  assert.equal(about.measure, 'sessions');
  const plain = JSON.parse((await ask(dashboard, '/api/v1/top/services')).text);
  assert.equal(plain.source, 'live');
});

test('wrong questions get 400, 404 and 405 with a code and a remedy', async () => {
  const dashboard = await start(new FakeSource());
  for (const target of [
    '/api/v1/top/cats',
    '/api/v1/top/services?window=2h',
    '/api/v1/top/services?measure=',
    '/api/v1/top/services?n=0',
    '/api/v1/top/services?n=101',
    '/api/v1/top/services?n=ten',
    '/api/v1/top/services?widnow=1h',
    '/api/v1/history?seconds=901',
    '/api/v1/status?x=1',
    '/api/v1/%ff',
  ]) {
    assertError(await ask(dashboard, target), 400, 'MR_HTTP_ARGUMENT');
  }
  for (const target of ['/api/v1', '/api/v1/nothing', '/api/v2/status', '/..%2f..%2fetc/passwd']) {
    assertError(await ask(dashboard, target), 404, 'MR_HTTP_PATH');
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const answer = await ask(dashboard, '/api/v1/status', { method });
    assertError(answer, 405, 'MR_HTTP_METHOD');
    assert.equal(answer.headers['access-control-allow-origin'], undefined);
  }
});

test('/api/v1/records answers with whole records; a wrong filter with its place', async (t) => {
  const source = new FakeSource();
  const segment = new SegmentBuilder();
  segment.add(Buffer.concat([VECTOR, VECTOR]), { recordCount: 2 });
  const folder = temporaryFolder(t);
  segment.writeTo(folder);
  const publishedPosition = () => segment.endPosition;
  source.journal = { folder, publishedPosition, categories: () => ({ usage: [0xf0f0f438] }) };
  const dashboard = await start(source);
  const filter = encodeURIComponent("category = usage and subscriber_id ~ '@inet'");
  const answer = await ask(dashboard, `/api/v1/records?filter=${filter}&limit=1`);
  assert.equal(answer.status, 200, answer.text);
  const { records, ...about } = JSON.parse(answer.text);
  assert.equal(records.length, 1);
  const [{ tag, name, ordinal, exporter, connection, arrival, header, fields }] = records;
  assert.deepEqual([tag, name, ordinal], ['0xf0f0f438', 'TRANSACTION_USAGE_RDR', 1]);
  assert.deepEqual([exporter, connection, arrival], ['10.1.2.3', 1, '2023-11-14T22:13:20.000Z']);
  assert.equal(header.field_count, 25);
  assert.equal(fields.subscriber_id, '10.134.213.202@inet');
  assert.equal(about.searchedRecords, 2);
  assert.equal(about.endedBy, 'limit');
  assertSchemaNames(recordsSchema, { records: [], ...about }, 'records');
  const all = JSON.parse((await ask(dashboard, '/api/v1/records')).text);
  assert.deepEqual([all.records.length, all.isWhole, all.endedBy], [2, true, 'journal']);
  const wrong = await ask(dashboard, '/api/v1/records?filter=tag%20=%20TUR%20and%20subscriber=1');
  assert.equal(wrong.status, 400);
  const error = JSON.parse(wrong.text);
  assert.deepEqual([error.code, error.line, error.column], ['MR_FILTER', 1, 15]);
  assert.match(error.message, /\n {16}\^/);
  assert.match(error.remedy, /subscriber_id/);
  for (const target of ['limit=0', 'limit=501', 'limit=x', 'filter=&fitler=']) {
    assertError(await ask(dashboard, `/api/v1/records?${target}`), 400, 'MR_HTTP_ARGUMENT');
  }
});

test('a foreign Host header is refused on loopback, on every path', async () => {
  const dashboard = await start(new FakeSource());
  const headers = { host: 'evil.example:8033' };
  for (const target of [
    '/',
    '/api/v1/status',
    '/api/v1/records',
    '/api/v1/events',
    '/metrics',
    '/nothing',
  ]) {
    assertError(await ask(dashboard, target, { headers }), 403, 'MR_HTTP_HOST');
  }
});

test('every answer carries the security headers', async () => {
  const dashboard = await start(new FakeSource());
  for (const target of ['/', '/api/v1/status', '/nothing', '/healthz', '/metrics']) {
    const { headers } = await ask(dashboard, target);
    assert.match(headers['content-security-policy'] as string, /default-src 'self'/, target);
    assert.equal(headers['x-content-type-options'], 'nosniff', target);
  }
});

test('/readyz is 200 only while the server runs, /healthz always', async () => {
  const source = new FakeSource();
  const dashboard = await start(source);
  assert.equal((await ask(dashboard, '/readyz')).status, 200);
  source.isReady = false;
  source.set({ state: 'draining' });
  const answer = await ask(dashboard, '/readyz');
  assertError(answer, 503, 'MR_HTTP_NOT_READY');
  assert.match(JSON.parse(answer.text).message, /draining/);
  assert.equal((await ask(dashboard, '/healthz')).status, 200);
});

test('a top that fails is 503 for who asked, and its cause goes to the log alone', async () => {
  const source = new FakeSource();
  const errors: Error[] = [];
  source.topSince = () => Promise.reject(new Error('secret path /x'));
  const dashboard = await start(source, { onError: (error) => errors.push(error) });
  const answer = await ask(dashboard, '/api/v1/top/hosts?window=1h');
  assertError(answer, 503, 'MR_HTTP_TOP');
  assert.equal(answer.text.includes('secret'), false);
  assert.match(errors[0]!.message, /secret/);
  source.topLive = () => Promise.reject(new MillraceError('MR_WORKER_DIED', 'no worker'));
  const named = await ask(dashboard, '/api/v1/top/hosts?window=1m');
  assertError(named, 503, 'MR_HTTP_TOP');
  assert.match(JSON.parse(named.text).message, /no worker/);
});

test('a page that is not built says how to build it; one that is built is served', async () => {
  const webRoot = await mkdtemp(path.join(tmpdir(), 'millrace-web-'));
  try {
    const without = await start(new FakeSource(), { webRoot });
    const missing = await ask(without, '/');
    assert.equal(missing.status, 503);
    assert.match(missing.text, /npm run build/);
    await writeFile(path.join(webRoot, 'index.html'), '<p>page</p>');
    const answer = await ask(await start(new FakeSource(), { webRoot }), '/');
    assert.equal(answer.status, 200);
    assert.equal(answer.text, '<p>page</p>');
    assert.equal(answer.headers['cache-control'], 'no-cache');
  } finally {
    await rm(webRoot, { recursive: true });
  }
});

test('a taken port is one clear error', async () => {
  const first = await start(new FakeSource());
  const port = Number(new URL(first.url).port);
  await assert.rejects(
    startDashboard({ host: '127.0.0.1', port, source: new FakeSource() }),
    (error) => error instanceof MillraceError && error.code === 'MR_PORT_IN_USE',
  );
});

test('IPv6 addresses are bound and printed in brackets', async () => {
  const dashboard = await start(new FakeSource(), { host: '[::1]' });
  assert.match(dashboard.address, /^\[::1\]:\d+$/);
  assert.equal((await ask(dashboard, '/healthz')).status, 200);
});

/** Opens the event stream by hand; `head` is everything up to now. */
async function openEvents(
  dashboard: Dashboard,
): Promise<{ socket: net.Socket; text: () => string }> {
  const { hostname, port } = new URL(dashboard.url);
  const socket = net.connect(Number(port), hostname);
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString();
  });
  socket.on('error', () => undefined);
  socket.write('GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await until(() => text.includes('\r\n\r\n'));
  return { socket, text: () => text };
}

async function until(isTrue: () => boolean, limitMs = 60_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!isTrue()) {
    assert.ok(performance.now() < endMs, 'waited too long');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('events flow over HTTP while snapshots are made, and closing ends them at once', async () => {
  const source = new FakeSource();
  const dashboard = await start(source);
  const { socket, text } = await openEvents(dashboard);
  assert.match(text(), /^HTTP\/1.1 200 OK\r\n/);
  assert.match(text(), /content-type: text\/event-stream/i);
  assert.match(text(), /content-security-policy/i);
  await until(() => text().includes('event: snapshot'));
  source.advance();
  await until(() => text().includes('event: delta'));
  const isOver = new Promise((resolve) => socket.on('close', resolve));
  await dashboard.close();
  await isOver;
  assert.match(text(), /event: bye/);
});

test('the example follows the events until the server stops', async () => {
  const source = new FakeSource();
  const dashboard = await start(source);
  const example = path.resolve(import.meta.dirname, '../../../examples/watch-events.js');
  const child = spawn(process.execPath, [example, dashboard.address]);
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk.toString();
  });
  const exited = new Promise((resolve) => child.on('exit', resolve));
  await until(() => text.split('\n').length > 1);
  source.advance();
  await until(() => text.split('\n').length > 2);
  assert.match(text, /^\d+ records\/s, \d+ bytes read \(difference 0\), store \d+ ms behind$/m);
  await dashboard.close();
  assert.equal(await exited, 0);
});

test('one page more than allowed is turned away with a reason', async () => {
  const source = new FakeSource();
  const dashboard = await start(source, { clientsMax: 1 });
  const { socket } = await openEvents(dashboard);
  assertError(await ask(dashboard, '/api/v1/events'), 503, 'MR_HTTP_CLIENTS');
  const metrics = (await ask(dashboard, '/metrics')).text;
  assert.match(metrics, /^millrace_dashboard_open_clients 1$/m);
  assert.match(metrics, /^millrace_dashboard_rejected_clients_total 1$/m);
  socket.destroy();
});

test('a page that stops reading is closed; memory for it is bounded, others go on', async () => {
  const source = new FakeSource({ exporters: 2_000 });
  const events = { backlogBytesMax: 64 * 1024, missedMax: 2 };
  const dashboard = await start(source, { events });
  const slow = await openEvents(dashboard);
  const quick = await openEvents(dashboard);
  slow.socket.pause();
  let isClosed = false;
  slow.socket.on('close', () => {
    isClosed = true;
  });
  const countOf = async (name: string): Promise<number> => {
    const { text } = await ask(dashboard, '/metrics');
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)![1]);
  };
  // An event is one chunk. Half of one would leave the quick page with a backlog of its own.
  const hasWhole = (): boolean => quick.text().endsWith('\n\n\r\n');
  // Half a megabyte an event fills the kernel's buffers within some twenty events.
  for (
    let i = 0;
    i < 60 && (await countOf('millrace_dashboard_slow_clients_total')) === 0;
    i += 1
  ) {
    const before = quick.text().length;
    source.advance();
    await until(() => quick.text().length > before && hasWhole());
  }
  assert.equal(await countOf('millrace_dashboard_slow_clients_total'), 1);
  assert.equal(await countOf('millrace_dashboard_open_clients'), 1);
  slow.socket.resume();
  await until(() => isClosed);
  quick.socket.destroy();
});
