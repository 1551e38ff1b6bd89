/**
 * Dashboard: the HTTP server with the live page, the API, the events and the metrics.
 *
 * WHY         It runs on the main thread and knows nothing of the other stages: all it shows comes
 *             from the DashboardSource that the supervisor hands in.
 * CLOCK       One timer polls the snapshot four times a second and takes a step when it is a new
 *             one: a point of history, and an event for whoever listens. Polling faster than the
 *             snapshots are made means that none is missed or counted twice, whatever the phase of
 *             the timers.
 * OWNERSHIP   startDashboard opens the port; close() ends every event stream, connection and timer.
 */
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import { MillraceError } from '../../toolkit/base/errors.ts';
import type { Snapshot } from '../snapshot.ts';
import { answerOf, statusOf, toMillraceError } from './answers.ts';
import { addApi, addProbes } from './api.ts';
import type { DashboardContext } from './context.ts';
import { EVENT_HUB_DEFAULTS, EventHub, type EventHubOptions } from './events.ts';
import { History } from './history.ts';
import { MetricsPage } from './metrics.ts';
import { addPage, defaultWebRoot } from './page.ts';
import { RecordDoor } from './record-door.ts';
import { isHostAllowed, SECURITY_HEADERS } from './security.ts';
import type { DashboardSource } from './source.ts';
import { TopCache } from './tops.ts';

const POLL_MS = 250;
/**
 * A snapshot that is newer by less than this is not a step: sources may make one for each question.
 */
const STEP_MS_MIN = 900;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 5_000;
const BODY_BYTES_MAX = 1_024;
/** Sockets beside the event streams: browsers open six each. */
const CONNECTIONS_SPARE = 128;

export interface DashboardOptions {
  /** A name or address; `::` and `0.0.0.0` are all interfaces. */
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly source: DashboardSource;
  /** Live pages at once; more get 503. */
  readonly clientsMax?: number;
  /** Folder of the built page; dist/web by default. */
  readonly webRoot?: string;
  /** A history to go on with. */
  readonly history?: History;
  /** Bounds of the event streams, for tests. */
  readonly events?: Partial<EventHubOptions>;
  /** Is told of errors inside requests; never of the mistakes of who asks. */
  readonly onError?: (error: Error) => void;
}

export interface Dashboard {
  /** HOST:PORT as bound, `[host]:port` for IPv6. */
  readonly address: string;
  readonly url: string;
  close(): Promise<void>;
}

/** @throws MillraceError MR_PORT_IN_USE, MR_LISTEN */
export async function startDashboard(options: DashboardOptions): Promise<Dashboard> {
  const context = contextOf(options);
  const app = makeApp(context);
  app.server.maxConnections = context.events.clientsMax + CONNECTIONS_SPARE;
  addApi(app, context);
  addProbes(app, context);
  await addPage(app, context.webRoot);
  await listen(app, options);
  const timer = startClock(context);
  const address = addressOf(app, options);
  let closing: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    clearInterval(timer);
    context.events.close();
    await app.close();
  };
  return {
    address,
    url: `http://${address}/`,
    close() {
      closing ??= close();
      return closing;
    },
  };
}

function contextOf(options: DashboardOptions): DashboardContext {
  const clientsMax = options.clientsMax ?? EVENT_HUB_DEFAULTS.clientsMax;
  return {
    source: options.source,
    history: options.history ?? new History(),
    tops: new TopCache(options.source),
    records: new RecordDoor(options.source.journal),
    events: new EventHub({ ...EVENT_HUB_DEFAULTS, clientsMax, ...options.events }),
    metrics: new MetricsPage(),
    boundHost: options.host,
    webRoot: options.webRoot ?? defaultWebRoot(),
    onError: options.onError ?? (() => undefined),
  };
}

function makeApp(context: DashboardContext): FastifyInstance {
  const app = Fastify({
    logger: false,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    bodyLimit: BODY_BYTES_MAX,
    // Addresses that cannot be decoded meet no hook and no handler of ours.
    frameworkErrors: (error, _request, reply) => {
      void sendError(reply.headers(SECURITY_HEADERS), toMillraceError(error));
    },
    // A parameter that does not exist is an error, not something to be quietly taken away.
    ajv: { customOptions: { removeAdditional: false } },
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS);
    if (!isHostAllowed(request.headers.host, context.boundHost)) {
      throw new MillraceError(
        'MR_HTTP_HOST',
        'the Host header is not a name of this server',
        `open it as http://${context.boundHost}, or bind it to another address with --http`,
      );
    }
    if (request.method !== 'GET') {
      reply.header('allow', 'GET');
      throw new MillraceError('MR_HTTP_METHOD', `${request.method} is not answered`, 'use GET');
    }
  });
  app.setNotFoundHandler((request) => {
    throw new MillraceError(
      'MR_HTTP_PATH',
      `there is nothing at ${request.url.split('?', 1)[0]}`,
      'the page is at /, the API under /api/v1 (docs/reference/api.md)',
    );
  });
  app.setErrorHandler<FastifyError | MillraceError>((thrown, _request, reply) => {
    const error = toMillraceError(thrown);
    if (error.cause instanceof Error) context.onError(error.cause);
    return sendError(reply, error);
  });
  return app;
}

function sendError(reply: FastifyReply, error: MillraceError): FastifyReply {
  return reply
    .code(statusOf(error.code))
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .send(answerOf(error));
}

function startClock({ source, history, events, records }: DashboardContext): NodeJS.Timeout {
  let lastMs = Number.NEGATIVE_INFINITY;
  const step = (): void => {
    const snapshot: Snapshot = source.snapshot();
    // The absolute value: a clock that was set back must not stop the history.
    if (Math.abs(snapshot.timeMs - lastMs) < STEP_MS_MIN) {
      events.heartbeat();
      return;
    }
    lastMs = snapshot.timeMs;
    history.add(snapshot);
    records.step();
    events.publish(snapshot);
  };
  step();
  return setInterval(step, POLL_MS).unref();
}

async function listen(app: FastifyInstance, { host, port }: DashboardOptions): Promise<void> {
  try {
    await app.listen({ host: host.replace(/^\[(.*)\]$/, '$1'), port });
  } catch (error) {
    await app.close();
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE') {
      throw new MillraceError(
        'MR_PORT_IN_USE',
        `HTTP port ${port} on ${host} is taken by another program`,
        'stop that program, or choose another address with --http HOST:PORT',
        { cause: error },
      );
    }
    throw new MillraceError(
      'MR_LISTEN',
      `HTTP cannot listen on ${host}:${port} (${code ?? String(error)})`,
      'check the address in http.listen or --http HOST:PORT',
      { cause: error },
    );
  }
}

function addressOf(app: FastifyInstance, options: DashboardOptions): string {
  const bound = app.server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : options.port;
  const host = options.host.replace(/^\[(.*)\]$/, '$1');
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
