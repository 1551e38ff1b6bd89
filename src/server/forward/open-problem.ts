/**
 * Open problem: why a file of the forwarder cannot be opened, in words for an operator.
 *
 * WHY      A channel that waits for a file waits in silence, unless status, metrics and log say for
 *          which one, what the kernel answered, and what helps.
 */
import { errnoRemedy } from '../../toolkit/sys/index.ts';

/** `what: ERRNO; remedy`, or without a remedy where nobody knows one. */
export function openProblem(what: string, errno: string): string {
  const remedy = errnoRemedy(errno);
  return remedy === '' ? `${what}: ${errno}` : `${what}: ${errno}; ${remedy}`;
}

/** Of what node:fs threw at opening a channel: ENOSPC comes from writing, which names no file. */
export function openProblemOf(error: unknown): string {
  const { path } = error as { path?: unknown };
  const file = typeof path === 'string' ? path : 'its position file';
  return openProblem(`${file} cannot be opened`, errnoOf(error));
}

/** The errno name of what node:fs threw, as it is or as a cause; else its text. */
export function errnoOf(error: unknown): string {
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  if (cause !== undefined && cause !== null) return errnoOf(cause);
  if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) return code;
  return error instanceof Error ? error.message : String(error);
}
