/**
 * Source scanner: tells code from comments, strings and regular expressions, without a compiler.
 *
 * WHY      TypeScript 7 has no JavaScript API, and the tidy tests need only this much: the same
 *          text with everything that is not code blanked out, and the list of comments.
 * LAYOUT   `code` and `codeWithStrings` have the length and line ends of the source, so that an
 *          index is an index in all of them.
 * REFUSED  Regular expressions over the raw text (a brace in a string is no brace).
 */

export interface Comment {
  /** Index of the first slash, and behind the last character. */
  readonly start: number;
  readonly end: number;
  readonly isBlock: boolean;
  readonly text: string;
}

export interface Scan {
  /** Comments, strings and regular expressions are spaces; quotes and template braces stay. */
  readonly code: string;
  /** Only comments are spaces. */
  readonly codeWithStrings: string;
  readonly comments: readonly Comment[];
}

/** Words after which a slash begins a regular expression, not a division. */
const BEFORE_REGEX = new Set(['return', 'typeof', 'case', 'in', 'of', 'delete', 'void', 'throw']);

class Scanner {
  readonly #text: string;
  readonly #code: string[];
  readonly #withStrings: string[];
  readonly #comments: Comment[] = [];
  /** Depth of braces inside each open template expression. */
  readonly #templates: number[] = [];
  #at = 0;
  /** Index of the last character of code that was not a space. */
  #lastCode = -1;

  constructor(text: string) {
    this.#text = text;
    this.#code = blank(text).split('');
    this.#withStrings = text.split('');
  }

  run(): Scan {
    while (this.#at < this.#text.length) this.#one();
    return {
      code: this.#code.join(''),
      codeWithStrings: this.#withStrings.join(''),
      comments: this.#comments,
    };
  }

  #one(): void {
    const char = this.#text[this.#at]!;
    const next = this.#text[this.#at + 1];
    if (char === '/' && next === '/') this.#comment(this.#lineEnd(), false);
    else if (char === '/' && next === '*') this.#comment(this.#blockEnd(), true);
    else if (char === '/' && this.#isRegexStart()) this.#regex();
    else if (char === "'" || char === '"') this.#string(char);
    else if (char === '`') this.#template();
    else if (char === '}' && this.#templates.at(-1) === 0) {
      this.#templates.pop();
      this.#template();
    } else this.#keep(char);
  }

  #keep(char: string): void {
    const depth = this.#templates.length - 1;
    if (depth >= 0 && char === '{') this.#templates[depth]!++;
    if (depth >= 0 && char === '}') this.#templates[depth]!--;
    this.#code[this.#at] = char;
    if (!/\s/.test(char)) this.#lastCode = this.#at;
    this.#at++;
  }

  #lineEnd(): number {
    const end = this.#text.indexOf('\n', this.#at);
    return end < 0 ? this.#text.length : end;
  }

  #blockEnd(): number {
    const end = this.#text.indexOf('*/', this.#at + 2);
    return end < 0 ? this.#text.length : end + 2;
  }

  #comment(end: number, isBlock: boolean): void {
    const text = this.#text.slice(this.#at, end);
    this.#comments.push({ start: this.#at, end, isBlock, text });
    for (let i = this.#at; i < end; i++) {
      if (this.#text[i] !== '\n') this.#withStrings[i] = ' ';
    }
    this.#at = end;
  }

  #isRegexStart(): boolean {
    if (this.#lastCode < 0) return true;
    const before = this.#code.slice(Math.max(0, this.#lastCode - 9), this.#lastCode + 1).join('');
    const word = /[A-Za-z_$]+$/.exec(before)?.[0];
    if (word !== undefined) return BEFORE_REGEX.has(word);
    return !/[\w$)\]}'"`]$/.test(before);
  }

  #regex(): void {
    let inClass = false;
    let i = this.#at + 1;
    for (; i < this.#text.length; i++) {
      const char = this.#text[i];
      if (char === '\\') i++;
      else if (char === '[') inClass = true;
      else if (char === ']') inClass = false;
      else if ((char === '/' && !inClass) || char === '\n') break;
    }
    this.#mark(i);
  }

  #string(quote: string): void {
    let i = this.#at + 1;
    while (i < this.#text.length && this.#text[i] !== quote && this.#text[i] !== '\n') {
      i += this.#text[i] === '\\' ? 2 : 1;
    }
    this.#mark(i);
  }

  /** From a backtick or the brace that closes an expression, to the next expression or the end. */
  #template(): void {
    let i = this.#at + 1;
    for (; i < this.#text.length && this.#text[i] !== '`'; i++) {
      if (this.#text[i] === '\\') i++;
      else if (this.#text[i] === '$' && this.#text[i + 1] === '{') {
        this.#templates.push(0);
        i++;
        break;
      }
    }
    this.#mark(i);
  }

  /** Keeps the delimiters at the two ends of a literal, goes on behind it. */
  #mark(last: number): void {
    this.#code[this.#at] = this.#text[this.#at]!;
    if (last < this.#text.length) this.#code[last] = this.#text[last]!;
    this.#lastCode = Math.min(last, this.#text.length - 1);
    this.#at = last + 1;
  }
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ');
}

export function scanSource(text: string): Scan {
  return new Scanner(text).run();
}

/** 1-based line of an index. */
export function lineOf(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < index; at = text.indexOf('\n', at + 1)) line++;
  return line;
}
