/**
 * Function spans: where functions begin and end in TypeScript, JavaScript and C.
 *
 * A brace opens a function body when what stands before it, back to the last statement or brace,
 * looks like the head of a function. Heads with braces in their types are found by their last part.
 */
import { lineOf, type Scan } from './scanner.ts';

export interface FunctionSpan {
  readonly name: string;
  readonly line: number;
  /** Lines from the head to the closing brace, both counted. */
  readonly lines: number;
}

const CONTROL = /^(?:\}?\s*else\b|if|for|while|switch|catch|do|try|finally|with)\b/;
/** A grouping call of node:test may be as long as the tests in it. */
const GROUP = /\b(?:describe|suite)\((?:[^()]|\([^()]*\))*=>\s*$/;
const NAMED =
  /(?:function\s*\*?\s*([\w$]+)|(?:const|let)\s+([\w$]+)[^=]*=|([\w$#]+)\s*(?:<[^()]*>)?\()/;

interface Block {
  readonly head: string;
  readonly start: number;
  readonly isFunction: boolean;
  /** Parentheses that were open around the block, and where the head around it began. */
  readonly parens: number;
  readonly headStart: number;
}

export function functionSpans(text: string, scan: Scan): FunctionSpan[] {
  const spans: FunctionSpan[] = [];
  const open: Block[] = [];
  const { code } = scan;
  let headStart = 0;
  let parens = 0;
  for (let i = 0; i < code.length; i++) {
    const char = code[i]!;
    if (char === '(') parens++;
    else if (char === ')') parens--;
    else if (char === ';' && parens === 0) headStart = i + 1;
    else if (char === '{') {
      const before = code.slice(headStart, i);
      const head = before.trim();
      const start = headStart + bodyHeadStart(before);
      open.push({ head, start, isFunction: isFunctionHead(head), parens, headStart });
      headStart = i + 1;
      parens = 0;
    } else if (char === '}') {
      const block = open.pop();
      if (block?.isFunction === true) {
        const line = lineOf(text, block.start);
        spans.push({ name: nameOf(block.head), line, lines: lineOf(text, i) - line + 1 });
      }
      parens = block?.parens ?? 0;
      // Braces of a type or value inside a parameter list do not end the head around them.
      headStart = block !== undefined && parens > 0 && !block.isFunction ? block.headStart : i + 1;
    }
  }
  return spans;
}

/** Where the head begins: of an arrow its parameters, of the rest its first word. */
function bodyHeadStart(before: string): number {
  const head = before.trimEnd();
  const first = before.length - before.trimStart().length;
  if (!head.endsWith(') =>')) return first;
  let depth = 0;
  for (let i = head.length - 1; i >= first; i--) {
    if (head[i] === ')') depth++;
    if (head[i] === '(' && --depth === 0) return i;
  }
  return first;
}

function isFunctionHead(head: string): boolean {
  if (GROUP.test(head)) return false;
  if (head.endsWith('=>')) return true;
  if (CONTROL.test(head) || /[=,:([?&|]$/.test(head) || /\b(?:class|interface|type)\s/.test(head)) {
    return false;
  }
  if (/\bfunction\b/.test(head)) return true;
  return /[\w$#\]]\s*(?:<[^()]*>)?\([\s\S]*\)(?:\s*:[^=]+)?$/.test(head);
}

function nameOf(head: string): string {
  const found = NAMED.exec(head);
  return found?.[1] ?? found?.[2] ?? found?.[3] ?? 'function';
}
