/**
 * Lexer: the text of a filter as words, texts in quotes and symbols.
 *
 * WORDS    Numbers, addresses and names are one kind of token, a run of letters, digits and
 *          `_ . : / + -`: what a word is depends on what it is compared with (`2001:db8::1`, `1e6`,
 *          a category called `1`), so the parser decides.
 */
import { decodeText, encodeText } from '../text.ts';
import { FILTER_LITERAL_BYTES_MAX } from './ast.ts';
import { FilterError, quoted } from './filter-error.ts';

export interface Token {
  readonly kind: 'word' | 'text' | 'symbol' | 'end';
  /** As written; of a text in quotes its value, in the form in which the store shows text. */
  readonly text: string;
  readonly at: number;
}

const SPACE = /[ \t\r\n]*/y;
const WORD = /[A-Za-z0-9_.:/+-]+/y;
const SYMBOL = /!=|<=|>=|[=<>~(),]/y;
/** Forms of other languages, and what they are called here. */
const FOREIGN = /==|=>|=<|&&|\|\||<>|=~|!~|!(?!=)|[&|;#%]/y;
const OURS: Readonly<Record<string, string>> = {
  '==': 'write =',
  '&&': 'write and',
  '&': 'write and',
  '||': 'write or',
  '|': 'write or',
  '<>': 'write !=',
  '=~': 'write ~',
  '!~': 'write not (FIELD ~ PATTERN)',
  '!': 'write not',
  '=>': 'write >=',
  '=<': 'write <=',
  '#': 'there are no comments; a tag is written tag = 0xf0f0f438',
  ';': 'a filter is one expression: join its parts by and, or',
  '%': "any bytes are * in a pattern, in quotes: FIELD ~ '^abc*'",
};

function matchAt(form: RegExp, text: string, at: number): string | null {
  form.lastIndex = at;
  return form.exec(text)?.[0] ?? null;
}

/** One token after another; behind the last it is 'end' for ever. Throws MR_FILTER. */
export class Lexer {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  next(): Token {
    const text = this.#text;
    this.#at += matchAt(SPACE, text, this.#at)!.length;
    const at = this.#at;
    if (at >= text.length) return { kind: 'end', text: '', at };
    if (text[at] === "'" || text[at] === '"') return this.#quoted(at);
    const foreign = matchAt(FOREIGN, text, at);
    if (foreign !== null) {
      throw new FilterError(text, at, `${quoted(foreign)} is no operator`, OURS[foreign]);
    }
    const word = matchAt(WORD, text, at);
    const found = word ?? matchAt(SYMBOL, text, at);
    if (found === null) {
      const character = quoted(String.fromCodePoint(text.codePointAt(at)!));
      const remedy = 'texts stand in quotes: \'...\' or "..."';
      throw new FilterError(text, at, `${character} belongs to nothing`, remedy);
    }
    this.#at += found.length;
    return { kind: word === null ? 'symbol' : 'word', text: found, at };
  }

  #quoted(from: number): Token {
    const text = this.#text;
    const quote = text[from]!;
    const parts: string[] = [];
    let at = from + 1;
    while (text[at] !== quote) {
      if (at >= text.length) {
        throw new FilterError(text, from, `the text that begins with ${quote} has no end`);
      }
      const part = text[at] === '\\' ? this.#escape(at) : text[at]!;
      parts.push(plain(part));
      at += part.length;
    }
    this.#at = at + 1;
    const bytes = encodeText(parts.join(''));
    if (bytes.length > FILTER_LITERAL_BYTES_MAX) {
      const found = `a text of ${bytes.length} bytes`;
      throw new FilterError(text, from, found, `at most ${FILTER_LITERAL_BYTES_MAX} are compared`);
    }
    return { kind: 'text', text: decodeText(bytes), at: from };
  }

  /** The escape at a backslash, as written. */
  #escape(at: number): string {
    const form = matchAt(/\\(?:[\\'"]|x[0-9A-Fa-f]{2})/y, this.#text, at);
    if (form !== null) return form;
    const remedy = 'a backslash is written \\\\, a quote \\\' or \\", any byte \\xHH';
    throw new FilterError(this.#text, at, 'a backslash that begins nothing known', remedy);
  }
}

/** An escape in the form that encodeText reads; characters as they are. */
function plain(part: string): string {
  if (part === "\\'" || part === '\\"') return part[1]!;
  return part.startsWith('\\x') ? part.toLowerCase() : part;
}
