/**
 * objdump as the reference for the guard's decoder: every instruction with its bytes, whether its
 * mnemonic writes memory, and how much, read from the text that objdump prints.
 */
import { spawnSync } from 'node:child_process';

export interface Listed {
  readonly address: string;
  /** Bytes in hexadecimal. */
  readonly code: string;
  readonly text: string;
}

export interface Access {
  readonly isWrite: boolean;
  /** undefined: the text does not say. */
  readonly width?: number | undefined;
}

/** A reason why there is no reference here, or false. */
export function missingObjdump(): string | false {
  return spawnSync('objdump', ['--version']).status === 0 ? false : 'objdump is not installed';
}

const INSTRUCTION_BYTES_MAX = 15;

export function disassemble(parameters: readonly string[]): Listed[] {
  const found = spawnSync(
    'objdump',
    ['-d', '-w', '-M', 'intel', '--insn-width=16', ...parameters],
    { encoding: 'latin1', maxBuffer: 1 << 30 },
  );
  const lines = found.stdout.matchAll(/^\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*(\S.*)$/gm);
  const listed: Listed[] = [];
  for (const [, address, code, text] of lines) {
    // Not an instruction; or data that a symbol says to be data.
    if (text!.includes('(bad)') || code!.length / 3 > INSTRUCTION_BYTES_MAX) continue;
    listed.push({ address: address!, code: code!.replaceAll(' ', ''), text: text!.trim() });
  }
  return listed;
}

const WIDTHS: Readonly<Record<string, number>> = {
  BYTE: 1,
  WORD: 2,
  DWORD: 4,
  QWORD: 8,
  TBYTE: 10,
  XMMWORD: 16,
  OWORD: 16,
  YMMWORD: 32,
  ZMMWORD: 64,
};

const PREFIXES =
  /^(?:(?:data16|addr32|rex(?:\.\w+)?|lock|repn?z?|bnd|notrack|xacquire|xrelease|[cdefgs]s) +)+/;

/** Mnemonics whose first operand is memory that they only read, or not at all. */
const READERS = new RegExp(
  `^(?:${[
    'cmp[bwlq]?|test|bt|jmp|nop|lea|mul|imul|div|idiv|ud[012]|prefetch.*|clflush.*|clwb|xlat',
    'f(?:ld|ild|bld|add|sub|mul|div|iadd|isub|imul|idiv|com|icom|comp|icomp|subr|divr).*',
    'f(?:isubr|idivr|ldcw|ldenv|rstor).*|fxrstor.*|xrstor.*|v?ldmxcsr|l[gi]dt|lldt|ltr|lmsw',
    'ver[rw]|ptwrite|invlpg|outs|lods|scas|cmps|v(?:gather|scatter)pf.*',
  ].join('|')})$`,
);
const STACK = /^(?:push.*|call|enter)$/;
const IMPLICIT: Readonly<Record<string, number>> = {
  maskmovq: 8,
  maskmovdqu: 16,
  vmaskmovdqu: 16,
  movdir64b: 64,
};
/** Of these objdump prints no width, or that of one element; programs cannot execute `ins`. */
const UNSIZED = /^(?:ins|fnstenv|fnsave|fxsave(?:64)?|sgdt|sidt|vp?scatter.*)$/;

/** What the reference says of an instruction. */
export function accessOf(text: string): Access {
  const [mnemonic, ...rest] = text.replace(PREFIXES, '').split(' ');
  const name = mnemonic!;
  const operands = rest.join(' ').trim();
  const first = operands.split(',')[0]!;
  const width = WIDTHS[/(\w+) PTR/.exec(first)?.[1] ?? ''];
  if (name in IMPLICIT) return { isWrite: true, width: IMPLICIT[name] };
  if (/^(?:movs|stos)$/.test(name)) return { isWrite: true, width };
  if (STACK.test(name)) {
    const isWord =
      name === 'pushw' ||
      name === 'pushfw' ||
      /^(?:WORD|[a-d]x$|[sd]i$|[sb]p$|r\d+w$)/.test(operands);
    return { isWrite: true, width: isWord ? 2 : 8 };
  }
  const isMemory = first.includes('[') || /\b[cdefgs]s:/.test(first);
  if (!isMemory || READERS.test(name)) return { isWrite: false };
  if (UNSIZED.test(name)) return { isWrite: true };
  return { isWrite: true, width: name === 'movabs' ? movabsWidth(operands) : (width ?? 0) };
}

function movabsWidth(operands: string): number {
  return { al: 1, ax: 2, eax: 4, rax: 8 }[operands.split(',')[1]!.trim()]!;
}
