/**
 * Foreign words: what other languages write where a filter has an operator of its own.
 */
import { fieldHolds } from './subject.ts';

/** What to write instead of `word`, behind `subject`; empty when the word says nothing. */
export function foreignWord(word: string, subject: string): string {
  const name = subject.toLowerCase().slice(0, 80);
  return Object.hasOwn(WORDS, word) ? WORDS[word]!(name) : '';
}

type Hint = (name: string) => string;

const isNumber = (name: string): boolean =>
  name.startsWith('header_') || fieldHolds(name) === 'number';

const pattern: Hint = (name) => {
  if (isNumber(name)) return `${name} is a number: use =, <, > or in`;
  const isText = name !== 'tag' && name !== 'category' && name !== 'exporter';
  return isText ? `write ${name} ~ 'TEXT': it has TEXT in it, and * is any bytes` : list(name);
};
const list: Hint = (name) => `several values stand in parentheses: ${name} in ${values(name)}`;
const values: Hint = (name) => {
  if (name === 'exporter') return '(10.1.2.3, 10.9.0.0/16)';
  if (name === 'tag' || name === 'category') return '(NAME, NAME)';
  return isNumber(name) ? '(80, 443)' : "('a', 'b')";
};
const presence: Hint = (name) =>
  isNumber(name)
    ? `is there such a field? ${name} < 0 or ${name} >= 0; is there none? not (...)`
    : `is there such a field? ${name} ~ ''; is there none? not ${name} ~ ''`;

const WORDS: Readonly<Record<string, Hint>> = {
  ',': list,
  like: pattern,
  ilike: pattern,
  matches: pattern,
  contains: pattern,
  regexp: pattern,
  is: presence,
  exists: presence,
  between: (name) => `write ${name} >= 1024 and ${name} <= 2048`,
  eq: (name) => `write ${name} = VALUE`,
  equals: (name) => `write ${name} = VALUE`,
  ne: (name) => `write ${name} != VALUE`,
};
