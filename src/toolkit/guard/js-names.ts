/**
 * Names of JavaScript functions in reports: whether this version of V8 is as the core believes.
 *
 * WHY         The core (native/guard/v8.c) reads V8's heap without V8; a wrong belief would name
 *             the wrong line with confidence. So a known function is asked for first.
 * AT LOAD     checkNames(): the known function calls into the core and must come back with its own
 *             name, file, line and column. Else the other ways to read the heap that the core has
 *             are tried; where none fits, frames stay without names: V8's perf map remains.
 * IN FULL     jsNames(): the known function writes into a protected page, as the interpreter, the
 *             baseline compiler and the optimiser run it, and inlined into its caller. The write is
 *             allowed by name, so nothing is reported, unless the name is wrong.
 * REFUSED     Trust by version number: a distribution may build V8 in another way.
 */
import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';
import type { GuardFunctions } from './native.ts';

/** `notes` of a NamedFrame, bits: enum mg_frame_notes. */
export const FRAME_INTERPRETED = 1;
export const FRAME_BASELINE = 2;
export const FRAME_OPTIMIZED = 4;
export const FRAME_INLINED = 8;
export const FRAME_FUNCTION_LINE = 16;
export const FRAME_MAY_HIDE = 32;

/** Of struct mg_frame: line and column 1-based, 0: not known; kind 1: a builtin, 2: JavaScript. */
export type NamedFrame = readonly [
  functionName: string,
  file: string,
  line: number,
  column: number,
  kind: number,
  notes: number,
];

/** How functions run, as far as reports tell them apart. */
export const CODE_TIERS = ['interpreted', 'baseline', 'optimised', 'inlined'] as const;
export type CodeTier = (typeof CODE_TIERS)[number];

export interface JsNames {
  /** Of V8, as process.versions has it. */
  readonly v8: string;
  /**
   * Where names come from: V8's heap, its perf map (afterwards, by `millrace guard run`), or not.
   */
  readonly source: 'v8' | 'perf-map' | 'none';
  /** What was tried and came back with its own function, file, line and column. */
  readonly exact: Readonly<Record<CodeTier, boolean>>;
}

export const UNKNOWN_NAMES: JsNames = {
  v8: process.versions.v8,
  source: 'none',
  exact: { interpreted: false, baseline: false, optimised: false, inlined: false },
};

const NO_VARIANT = 255;
const NATIVES_FLAG = '--allow-natives-syntax';
/** An own name: it is allowed to write. */
export const KNOWN_FILE = 'millrace-calibration.js';
const KNOWN_TEXT = `(() => {
  function known(bytes, act) {
    if (act !== undefined) return act();
    bytes[0] = 1;
  }
  function caller(bytes, act) {
    return known(bytes, act);
  }
  return { known, caller };
})()`;
const CALL = { line: 3, column: 35 };
const STORE = { line: 4, column: 14 };
const CALLER = { line: 7, column: 12 };

type Known = (bytes: Uint8Array, act?: () => unknown) => unknown;
interface KnownPair {
  readonly known: Known;
  readonly caller: Known;
}

/** Fresh functions: nothing is compiled yet, and there is no other text like this. */
function makePair(): KnownPair {
  const text = `${KNOWN_TEXT} /* ${performance.now()} */`;
  return runInThisContext(text, { filename: KNOWN_FILE }) as KnownPair;
}

function isFrame(
  frame: NamedFrame | undefined,
  name: string,
  place: { readonly line: number; readonly column: number },
  notes: number,
): boolean {
  if (frame === undefined) return false;
  const [functionName, file, line, column, , found] = frame;
  return (
    functionName === name &&
    file === KNOWN_FILE &&
    line === place.line &&
    column === place.column &&
    found === notes
  );
}

/** Fresh functions are interpreted, but for --always-sparkplug. */
function isNamed(native: GuardFunctions): boolean {
  const { caller } = makePair();
  const frames = caller(new Uint8Array(0), () => native.captureStack(0)) as NamedFrame[];
  const at = frames.findIndex(([name]) => name === 'known');
  const tier = frames[at]?.[5] === FRAME_BASELINE ? FRAME_BASELINE : FRAME_INTERPRETED;
  return (
    isFrame(frames[at], 'known', CALL, tier) && isFrame(frames[at + 1], 'caller', CALLER, tier)
  );
}

/** Any: names are not read from V8's heap, as if V8 were not known. To try what is then. */
const NO_NAMES_VARIABLE = 'MILLRACE_GUARD_NO_NAMES';

/** Chooses how V8's heap is read; false: not at all. A millisecond, once a thread. */
export function checkNames(native: GuardFunctions): boolean {
  if ((process.env[NO_NAMES_VARIABLE] ?? '') !== '') return native.tryV8(NO_VARIANT) === 1;
  for (let variant = 0; native.tryV8(variant) === 1; variant++) {
    if (isNamed(native)) return true;
  }
  return false;
}

function isFlag(word: string, flag: string): boolean {
  return word.replaceAll('_', '-') === flag;
}

/** What V8's own intrinsics do: they are a language of their own, and off as a rule. */
function withNatives<T>(action: (native: (call: string, f: Known) => void) => T): T {
  const wasOn = process.execArgv.some((word) => isFlag(word, NATIVES_FLAG));
  setFlagsFromString(NATIVES_FLAG);
  try {
    return action((call, f) => {
      (runInThisContext(`(f) => %${call}(f)`) as (f: Known) => void)(f);
    });
  } finally {
    if (!wasOn) setFlagsFromString(NATIVES_FLAG.replace('--', '--no-'));
  }
}

const TIER_NOTES: Readonly<Record<CodeTier, readonly [known: number, caller: number]>> = {
  interpreted: [FRAME_INTERPRETED, FRAME_INTERPRETED],
  baseline: [FRAME_BASELINE, FRAME_BASELINE],
  optimised: [FRAME_OPTIMIZED, FRAME_INTERPRETED],
  inlined: [FRAME_OPTIMIZED | FRAME_INLINED, FRAME_OPTIMIZED],
};

function compile(tier: CodeTier, { known, caller }: KnownPair): void {
  if (tier === 'interpreted') return;
  // Of the kind that is protected: what is compiled for another would be given up at the write.
  const bytes = new Uint8Array(new SharedArrayBuffer(1));
  withNatives((native) => {
    if (tier === 'baseline') {
      native('CompileBaseline', known);
      native('CompileBaseline', caller);
      return;
    }
    native('PrepareFunctionForOptimization', known);
    native('PrepareFunctionForOptimization', caller);
    caller(bytes);
    caller(bytes);
    native('OptimizeFunctionOnNextCall', tier === 'optimised' ? known : caller);
    caller(bytes);
  });
}

/** `bytes` are a SharedArrayBuffer's, in a page whose guard allows KNOWN_FILE to write. */
function isTierExact(native: GuardFunctions, bytes: Uint8Array, tier: CodeTier): boolean {
  const pair = makePair();
  try {
    compile(tier, pair);
  } catch {
    return false; // No such compiler, as with --jitless.
  }
  pair.caller(bytes);
  const frames = native.captureStack(1);
  const at = frames.findIndex(([name]) => name === 'known');
  const [known, caller] = TIER_NOTES[tier];
  return (
    isFrame(frames[at], 'known', STORE, known) && isFrame(frames[at + 1], 'caller', CALLER, caller)
  );
}

/** Proves it with faults, some 10 ms each for the first time. `bytes` as isTierExact() says. */
export function jsNames(native: GuardFunctions, bytes: Uint8Array): JsNames {
  const isKnown = checkNames(native);
  const exact = Object.fromEntries(
    CODE_TIERS.map((tier) => [tier, isKnown && isTierExact(native, bytes, tier)]),
  ) as Record<CodeTier, boolean>;
  const hasMap = PERF_MAP_FLAGS.every((flag) =>
    process.execArgv.some((word) => isFlag(word, flag)),
  );
  const source = isKnown ? 'v8' : hasMap ? 'perf-map' : 'none';
  return { v8: process.versions.v8, source, exact };
}

/** With these V8 writes the place of all code that it makes to /tmp/perf-PID.map. */
export const PERF_MAP_FLAGS = ['--perf-basic-prof', '--interpreted-frames-native-stack'] as const;

/** From this V8 on Maglev compiles loops while they run, and notes none of their places rightly. */
const MAGLEV_LOOPS_V8 = 12;

/**
 * Flags for V8 that keep functions from running in the ways that were not proved exact, at the cost
 * of speed: none in Node.js 20, and in 22 to 26 one of little cost.
 */
export function exactStackFlags({ v8, source, exact }: JsNames): string[] {
  if (source !== 'v8') return [];
  const flags = Number.parseInt(v8, 10) >= MAGLEV_LOOPS_V8 ? ['--no-maglev-osr'] : [];
  if (!exact.baseline) flags.push('--no-sparkplug');
  if (!exact.optimised) flags.push('--max-optimized-bytecode-size=0', '--no-maglev');
  else if (!exact.inlined) flags.push('--no-turbo-inlining', '--no-maglev-inlining');
  return flags;
}
