/**
 * S-expressions: the outer form of the WebAssembly text format.
 */
import { MillraceError } from '../../base/errors.ts';

/** A word, a string with its quotes, or a list in parentheses. */
export type Expression = string | readonly Expression[];

/** Comments, parentheses, strings, words; one of them at a time. */
const TOKEN = /;;[^\n]*|\(;[\s\S]*?;\)|[()]|"[^"]*"|[^\s()";]+|\s+|[\s\S]/y;

/** The text is wrong: a mistake of who wrote the kernel, never of who runs it. */
export function refuse(what: string, found: string): never {
  throw new MillraceError('MR_ASSERT', `${what}: ${found}`, 'correct the text of the kernel');
}

/** Reads one expression that fills the whole text. */
export function parseExpression(text: string): Expression {
  const open: Expression[][] = [[]];
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
    const [token] = match;
    if (/^\s/.test(token) || token.startsWith(';;') || token.startsWith('(;')) continue;
    if (token === '(') open.push([]);
    else if (token === ')') {
      const done = open.pop()!;
      if (open.length === 0) refuse('one parenthesis too many', text.slice(0, match.index));
      open.at(-1)!.push(done);
    } else if (token === '"' || token === ';') refuse('a character that nothing starts', token);
    else open.at(-1)!.push(token);
  }
  if (open.length > 1) refuse('parentheses are not closed', `${open.length - 1} of them`);
  const [outer] = open;
  if (outer!.length !== 1) refuse('one expression was expected', `${outer!.length}`);
  return outer![0]!;
}
