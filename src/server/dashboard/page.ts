/**
 * Page: serves the built files of web/ (dist/web), or says how to build them.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { statusOf } from './answers.ts';

const YEAR_SECONDS = 31_536_000;

/** Where `vite build` puts the page: dist/web, beside the compiled dist/src. */
export function defaultWebRoot(): string {
  return path.resolve(import.meta.dirname, '../../../web');
}

export async function addPage(app: FastifyInstance, webRoot: string): Promise<void> {
  if (!existsSync(path.join(webRoot, 'index.html'))) {
    app.get('/', (_request, reply) =>
      reply.code(statusOf('MR_HTTP_PAGE')).type('text/html; charset=utf-8').send(NOT_BUILT),
    );
    return;
  }
  await app.register(fastifyStatic, {
    root: webRoot,
    cacheControl: false,
    setHeaders(reply, filePath) {
      // Names under assets/ carry a hash of what is in them.
      const isHashed = filePath.includes(`${path.sep}assets${path.sep}`);
      reply.header(
        'cache-control',
        isHashed ? `public, max-age=${YEAR_SECONDS}, immutable` : 'no-cache',
      );
    },
  });
}

const NOT_BUILT = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Millrace: the page is not built</title>
<h1>The live page is not built</h1>
<p>The server runs (MR_HTTP_PAGE): only the files of its page are missing.</p>
<p>Build them with <code>npm run build</code> and start the server again.
Until then: <a href="/api/v1/status">status</a>, <a href="/metrics">metrics</a>,
or <code>millrace status</code> on the command line.</p>
</html>
`;
