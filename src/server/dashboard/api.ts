/**
 * API: /api/v1 (JSON and events), /metrics, /healthz and /readyz. Reference: docs/reference/api.md.
 *
 * WHY      The page has no way in of its own: what it shows, a script can ask for.
 */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { MillraceError } from '../../toolkit/base/errors.ts';
import type { DashboardContext } from './context.ts';
import { forwardSchema } from './forward-schema.ts';
import type { DashboardFigures } from './metrics.ts';
import type { RecordDoor } from './record-door.ts';
import * as schemas from './schemas.ts';
import { SECURITY_HEADERS } from './security.ts';
import type { TopMeasure, TopSubject, TopWindow } from './source.ts';
import type { TopAnswer, TopCache, TopQuestion } from './tops.ts';

const EVENT_HEADERS = {
  ...SECURITY_HEADERS,
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  connection: 'keep-alive',
  // nginx and its like would otherwise hold events back until a buffer is full.
  'x-accel-buffering': 'no',
};

export function addApi(app: FastifyInstance, context: DashboardContext): void {
  app.get('/api/v1/status', answering(schemas.snapshotSchema), () => context.source.snapshot());
  app.get<{ Querystring: { seconds: number } }>(
    '/api/v1/history',
    answering(schemas.historySchema, { querystring: schemas.historyQuerySchema }),
    (request) => context.history.columns(request.query.seconds),
  );
  app.get('/api/v1/exporters', answering(schemas.exportersSchema), () => {
    const { timeMs, exporters } = context.source.snapshot();
    return { timeMs, exporters };
  });
  app.get('/api/v1/forward', answering(forwardSchema), () => {
    const { timeMs, forward } = context.source.snapshot();
    return { timeMs: forward?.timeMs ?? timeMs, channels: forward?.channels ?? [] };
  });
  addTop(app, context.tops);
  addRecords(app, context.records);
  const events = { schema: { querystring: schemas.noQuerySchema } };
  app.get('/api/v1/events', events, (_request, reply) => openEvents(context, reply));
}

interface TopRoute {
  Params: { by: TopSubject };
  Querystring: { window: TopWindow; measure: TopMeasure; n: number };
}

function addTop(app: FastifyInstance, tops: TopCache): void {
  const request = { params: schemas.topParamsSchema, querystring: schemas.topQuerySchema };
  app.get<TopRoute>(
    '/api/v1/top/:by',
    answering(schemas.topSchema, request),
    async ({ params: { by }, query: { window, measure, n } }) =>
      await askTop(tops, { by, window, measure }, n),
  );
}

async function askTop(tops: TopCache, question: TopQuestion, n: number): Promise<TopAnswer> {
  try {
    return await tops.ask(question, n);
  } catch (error) {
    // The text of an error with a code is made for people; that of any other stays in the log.
    const why = error instanceof MillraceError ? `: ${error.message}` : '';
    throw new MillraceError(
      'MR_HTTP_TOP',
      `top ${question.by} over ${question.window} cannot be computed now${why}`,
      'ask again in a few seconds; the log of the server has the reason',
      { cause: error },
    );
  }
}

function addRecords(app: FastifyInstance, records: RecordDoor): void {
  app.get<{ Querystring: { filter: string; limit: number } }>(
    '/api/v1/records',
    answering(schemas.recordsSchema, { querystring: schemas.recordsQuerySchema }),
    async ({ query: { filter, limit }, raw }) =>
      await records.search(filter, limit, () => !raw.socket.destroyed),
  );
}

function openEvents(context: DashboardContext, reply: FastifyReply): void {
  const { events } = context;
  if (events.isFull) {
    events.rejected += 1;
    throw new MillraceError(
      'MR_HTTP_CLIENTS',
      `${events.clients} live pages are open, which is the limit`,
      'close one, or raise dashboard.clientCountMax',
    );
  }
  reply.hijack();
  reply.raw.writeHead(200, EVENT_HEADERS);
  events.add(reply.raw, context.source.snapshot());
}

/** For programs that watch the server: none of it is under /api/v1. */
export function addProbes(app: FastifyInstance, context: DashboardContext): void {
  app.get('/healthz', answering(schemas.healthSchema), () => ({ status: 'ok' }));
  app.get('/readyz', answering(schemas.healthSchema), () => {
    if (context.source.ready()) return { status: 'ready' };
    const { state } = context.source.snapshot();
    throw new MillraceError(
      'MR_HTTP_NOT_READY',
      `the server is ${state}`,
      'it is ready while its state is running',
    );
  });
  app.get(
    '/metrics',
    { schema: { querystring: schemas.noQuerySchema } },
    async (_request, reply) => {
      const text = await context.metrics.render(context.source.snapshot(), figuresOf(context));
      return reply.type(context.metrics.contentType).header('cache-control', 'no-store').send(text);
    },
  );
}

function figuresOf({ events, tops }: DashboardContext): DashboardFigures {
  return {
    clients: events.clients,
    rejected: events.rejected,
    droppedEvents: events.droppedEvents,
    closedSlow: events.closedSlow,
    topsComputed: tops.computed,
  };
}

/** Route options of a JSON answer that is never cached, and takes no parameters unless told. */
function answering(answer: object, request: object = { querystring: schemas.noQuerySchema }) {
  return {
    schema: { ...request, response: { 200: answer, default: schemas.errorSchema } },
    onSend: async (_request: unknown, reply: FastifyReply) => {
      reply.header('cache-control', 'no-store');
    },
  };
}
