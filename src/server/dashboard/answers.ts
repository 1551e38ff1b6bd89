/**
 * Answers: how an error of the dashboard looks to who asked: `{code, message, remedy}` and a
 * status.
 */
import type { FastifyError } from 'fastify';
import { FilterError } from '../../rdr/index.ts';
import { type ErrorCode, MillraceError } from '../../toolkit/base/errors.ts';

export interface ErrorAnswer {
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy: string;
  /** Of MR_FILTER: the place in the filter, from 1, columns in characters. */
  readonly line?: number;
  readonly column?: number;
}

const HTTP_STATUS: Partial<Record<ErrorCode, number>> = {
  MR_FILTER: 400,
  MR_HTTP_ARGUMENT: 400,
  MR_HTTP_HOST: 403,
  MR_HTTP_PATH: 404,
  MR_HTTP_METHOD: 405,
  MR_HTTP_FAILED: 500,
  MR_HTTP_CLIENTS: 503,
  MR_HTTP_NOT_READY: 503,
  MR_HTTP_TOP: 503,
  MR_HTTP_SEARCH: 503,
  MR_HTTP_PAGE: 503,
};

export function statusOf(code: ErrorCode): number {
  return HTTP_STATUS[code] ?? 500;
}

export function answerOf(error: MillraceError): ErrorAnswer {
  const { code, message, remedy } = error;
  if (!(error instanceof FilterError)) return { code, message, remedy };
  return { code, message, remedy, line: error.line, column: error.column };
}

/**
 * Whatever a handler threw, as an error with a code; nothing of an unknown one leaves the server.
 */
export function toMillraceError(error: FastifyError | MillraceError): MillraceError {
  if (error instanceof MillraceError) return error;
  if (error.validation !== undefined) return argumentError(error);
  if (error.statusCode !== undefined && error.statusCode < 500) {
    return new MillraceError(
      'MR_HTTP_ARGUMENT',
      error.message,
      'docs/reference/api.md has examples',
    );
  }
  return new MillraceError(
    'MR_HTTP_FAILED',
    'the request failed inside the server',
    'look for this time in the log of the server',
    { cause: error },
  );
}

function argumentError(error: FastifyError): MillraceError {
  const [first] = error.validation!;
  const params = first?.params as Readonly<Record<string, unknown>> | undefined;
  const place = `parameter '${(first?.instancePath ?? '').slice(1)}'`;
  if (params !== undefined && Array.isArray(params.allowedValues)) {
    const allowed = params.allowedValues.join(', ');
    return new MillraceError(
      'MR_HTTP_ARGUMENT',
      `${place} is not in the list`,
      `use one of: ${allowed}`,
    );
  }
  if (typeof params?.additionalProperty === 'string') {
    const found = `there is no parameter '${params.additionalProperty}' here`;
    return new MillraceError(
      'MR_HTTP_ARGUMENT',
      found,
      'docs/reference/api.md lists the parameters',
    );
  }
  return new MillraceError(
    'MR_HTTP_ARGUMENT',
    `${place} ${first?.message ?? 'is wrong'}`,
    'docs/reference/api.md lists the parameters and their bounds',
  );
}
