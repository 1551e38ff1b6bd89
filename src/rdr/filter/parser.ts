/**
 * Parser: the text of a filter into its tree, by recursive descent.
 *
 * GRAMMAR     filter = [ or ] .  or = and { "or" and } .  and = not { "and" not } .
 *             not = "not" not | "(" or ")" | compare .
 *             docs/reference/filter.md has the rest.
 * INVARIANTS  Whatever the text is, the only thing thrown is MR_FILTER, after work that is linear
 *             in its length: depth and terms are bounded, and no token is looked at twice.
 */
import { encodeText } from '../text.ts';
import {
  FILTER_DEPTH_MAX,
  FILTER_PATTERNS_BYTES_MAX,
  FILTER_TERMS_MAX,
  FILTER_TEXT_MAX,
  type Filter,
  type FilterNode,
  type FilterOperator,
} from './ast.ts';
import { makeCompare } from './compare.ts';
import { FilterError, quoted } from './filter-error.ts';
import { foreignWord } from './foreign-words.ts';
import { Lexer, type Token } from './lexer.ts';
import { isSubject } from './subject.ts';
import { unknownName } from './unknown-name.ts';

const OPERATORS: readonly FilterOperator[] = ['=', '!=', '<', '<=', '>', '>=', '~'];
const KEYWORDS: readonly string[] = ['and', 'or', 'not', 'in', 'cidr'];
const OPERATOR_LIST = '=, !=, <, <=, >, >=, ~, in or not in';

/**
 * The tree of a filter. Empty text is the filter of every record. Throws FilterError (MR_FILTER)
 * with line, column, what was found and what may stand there.
 */
export function parseFilter(text: string): Filter {
  if (text.length > FILTER_TEXT_MAX) {
    const found = `a text of ${text.length} characters`;
    throw new FilterError('', 0, found, `a filter has at most ${FILTER_TEXT_MAX} characters`);
  }
  return { text, root: new Parser(text).parse() };
}

class Parser {
  readonly #text: string;
  readonly #lexer: Lexer;
  #token: Token;
  #depth = 0;
  #terms = 0;
  #patternBytes = 0;
  /** What the comparison that was begun last is about; for hints. */
  #subject = 'FIELD';
  /** The first name that does not exist; told at the end, when the tags are known. */
  #unknown: Token | null = null;

  constructor(text: string) {
    this.#text = text;
    this.#lexer = new Lexer(text);
    this.#token = this.#lexer.next();
  }

  parse(): FilterNode {
    if (this.#isEnd()) return { kind: 'and', terms: [] };
    const root = this.#chain('or');
    if (!this.#isEnd()) this.#expected('and, or, or the end');
    if (this.#unknown !== null) throw unknownName(this.#text, this.#unknown, root);
    return root;
  }

  #chain(kind: 'or' | 'and'): FilterNode {
    const terms: FilterNode[] = [];
    do {
      if (terms.length > 0) this.#advance();
      terms.push(kind === 'or' ? this.#chain('and') : this.#not());
    } while (this.#isWord(kind));
    return terms.length === 1 ? terms[0]! : { kind, terms };
  }

  #not(): FilterNode {
    const token = this.#token;
    const isNot = this.#isWord('not');
    if (!isNot && !this.#isSymbol('(')) return this.#compare();
    this.#depth++;
    if (this.#depth > FILTER_DEPTH_MAX) {
      const remedy = `at most ${FILTER_DEPTH_MAX} parentheses and nots inside each other`;
      throw new FilterError(this.#text, token.at, 'too deep', remedy);
    }
    this.#advance();
    const inner = isNot ? this.#not() : this.#chain('or');
    if (!isNot) this.#close();
    this.#depth--;
    return isNot ? { kind: 'not', term: inner } : inner;
  }

  #compare(): FilterNode {
    const subject = this.#token;
    if (subject.kind !== 'word' || KEYWORDS.includes(subject.text.toLowerCase())) {
      this.#expected('a name of a field, tag, exporter, category, not or (');
    }
    this.#subject = subject.text;
    this.#advance();
    const isKnown = isSubject(subject.text.toLowerCase());
    if (!isKnown) this.#unknown ??= subject;
    const operatorAt = this.#token.at;
    const { operator, values } = this.#comparison();
    if (isKnown) return makeCompare(this.#text, subject, operator, operatorAt, values);
    return { kind: 'compare', subject: subject.text, operator, values: [], at: subject.at };
  }

  #comparison(): { operator: FilterOperator; values: readonly Token[] } {
    const token = this.#token;
    if (token.kind === 'symbol' && OPERATORS.includes(token.text as FilterOperator)) {
      this.#advance();
      const value = this.#value();
      if (token.text === '~') this.#countPattern(value);
      return { operator: token.text as FilterOperator, values: [value] };
    }
    const isNegated = this.#isWord('not');
    if (isNegated) this.#advance();
    const hasIn = this.#isWord('in') || this.#isWord('cidr');
    if (!hasIn) this.#expected(isNegated ? 'in' : OPERATOR_LIST);
    this.#advance();
    return { operator: isNegated ? 'not in' : 'in', values: this.#list() };
  }

  #list(): Token[] {
    if (!this.#isSymbol('(')) return [this.#value()];
    const values: Token[] = [];
    do {
      this.#advance();
      values.push(this.#value());
    } while (this.#isSymbol(','));
    this.#close();
    return values;
  }

  #value(): Token {
    const token = this.#token;
    if (token.kind === 'symbol' || token.kind === 'end') this.#expected('a value');
    if (++this.#terms > FILTER_TERMS_MAX) {
      const remedy = `a filter compares with at most ${FILTER_TERMS_MAX} values`;
      throw new FilterError(this.#text, token.at, 'too many values', remedy);
    }
    this.#advance();
    return token;
  }

  #countPattern(pattern: Token): void {
    this.#patternBytes += encodeText(pattern.text).length;
    if (this.#patternBytes <= FILTER_PATTERNS_BYTES_MAX) return;
    const remedy = `all patterns of a filter have at most ${FILTER_PATTERNS_BYTES_MAX} bytes`;
    throw new FilterError(this.#text, pattern.at, 'too many patterns', remedy);
  }

  #close(): void {
    if (!this.#isSymbol(')')) this.#expected('and, or, a comma or )');
    this.#advance();
  }

  #advance(): void {
    this.#token = this.#lexer.next();
  }

  #isEnd(): boolean {
    return this.#token.kind === 'end';
  }

  #isWord(word: string): boolean {
    return this.#token.kind === 'word' && this.#token.text.toLowerCase() === word;
  }

  #isSymbol(symbol: string): boolean {
    return this.#token.kind === 'symbol' && this.#token.text === symbol;
  }

  #expected(what: string): never {
    const { kind, text, at } = this.#token;
    const found = kind === 'end' ? 'the end' : quoted(text);
    const remedy = kind === 'text' ? '' : foreignWord(text.toLowerCase(), this.#subject);
    throw new FilterError(this.#text, at, `found ${found}, expected ${what}`, remedy);
  }
}
