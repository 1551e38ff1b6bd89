/**
 * Assertions: programming errors stop at once, with a constant text.
 *
 * The text is a constant because a template literal is built even when the assertion holds, and
 * assertions stand in hot loops. Input that comes from outside is never asserted: it is counted.
 */
import { MillraceError } from './errors.ts';

export function assert(condition: boolean, text: string): asserts condition {
  if (!condition) throw new MillraceError('MR_ASSERT', text, 'please report this, with the log');
}
