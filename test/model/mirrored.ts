/**
 * Mirrored: code that a model or a scenario repeats by hand, and whether it has changed since.
 *
 * WHY        A model proves nothing about a kernel that has moved on. test/schedule runs the
 *            kernels as they are shipped, but what the classes do around them stands once more in
 *            its scenarios.
 * INVARIANTS mirrored.json has a hash of each function as it was when its mirrors were last
 *            compared with it. The hash is that of the compiled tokens: comments, blanks and types
 *            do not count.
 * RECORD     npm run test:model -- --record, after the mirrors were brought up to date.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Node, parse, type Token } from 'acorn';

export interface Mirrored {
  /** A file of src/toolkit, without its suffix. */
  readonly module: string;
  /** Functions, and methods as `Class.method`; null: all that the file has. */
  readonly names: readonly string[] | null;
  /** Who repeats it: files, from the root of the repository. */
  readonly mirrors: readonly string[];
}

/** Hashes by name, by module. */
export type Hashes = Readonly<Record<string, Readonly<Record<string, string>>>>;

const MPMC_MODEL = 'test/model/mpmc.pml';
const MPMC_SCENARIOS = 'test/schedule/mpmc-scenarios.ts';
const BROADCAST_MODEL = 'test/model/broadcast.pml';
const BROADCAST_SCENARIOS = 'test/schedule/broadcast-scenarios.ts';
const IDLE_SCENARIOS = 'test/schedule/idle-scenarios.ts';
const SPSC_SCENARIOS = 'test/schedule/spsc-scenarios.ts';

function methods(name: string, list: string): string[] {
  return list.split(' ').map((method) => `${name}.${method}`);
}

export const MIRRORED: readonly Mirrored[] = [
  {
    module: 'ring/mpmc-kernel',
    names: null,
    mirrors: [MPMC_MODEL, 'src/toolkit/ring/mpmc-wasm.ts'],
  },
  { module: 'ring/mpmc-wasm', names: null, mirrors: [MPMC_MODEL] },
  {
    module: 'ring/mpmc-ring',
    names: ['MpmcRing.abandonMember'],
    mirrors: [MPMC_MODEL, MPMC_SCENARIOS],
  },
  {
    module: 'ring/mpmc-member',
    names: methods('MpmcMember', 'pushBatch popBatch'),
    mirrors: [MPMC_MODEL, MPMC_SCENARIOS],
  },
  { module: 'ring/broadcast-kernel', names: null, mirrors: [BROADCAST_MODEL] },
  {
    module: 'ring/broadcast-writer',
    names: methods('BroadcastWriter', 'constructor claim publish push poll evictSlowest'),
    mirrors: [BROADCAST_MODEL, BROADCAST_SCENARIOS],
  },
  {
    module: 'ring/broadcast-reader',
    names: methods('BroadcastReader', 'join lostSeq tryRead finish putBack leave'),
    mirrors: [BROADCAST_MODEL, BROADCAST_SCENARIOS],
  },
  {
    module: 'ring/broadcast-ring',
    names: ['BroadcastRing.abandonReader'],
    mirrors: [BROADCAST_MODEL, BROADCAST_SCENARIOS],
  },
  {
    module: 'ring/idle-sleeper',
    names: methods('IdleSleeper', 'park #parkStep #disarm'),
    mirrors: [IDLE_SCENARIOS],
  },
  { module: 'ring/idle-waker', names: ['IdleWaker.wake'], mirrors: [IDLE_SCENARIOS] },
  {
    module: 'ring/spsc-producer',
    names: methods('SpscProducer', 'pushBatch claim commit flush'),
    mirrors: [SPSC_SCENARIOS],
  },
  {
    module: 'ring/spsc-consumer',
    names: methods('SpscConsumer', 'popBatch peek release flush'),
    mirrors: [SPSC_SCENARIOS],
  },
  {
    module: 'ring/spsc-byte-producer',
    names: methods('SpscByteProducer', 'claim commit flush'),
    mirrors: [SPSC_SCENARIOS],
  },
  {
    module: 'ring/spsc-byte-consumer',
    names: methods('SpscByteConsumer', 'peek release flush'),
    mirrors: [SPSC_SCENARIOS],
  },
];

/** What stands at the top of a module beside functions, classes and imports. */
const REST = 'constants';
const HASH_DIGITS = 16;

/** The compiled code, in dist; what is recorded, beside the sources. */
const TOOLKIT = new URL('../../src/toolkit/', import.meta.url);
const RECORD = fileURLToPath(new URL('../../../test/model/mirrored.json', import.meta.url));

/** A hash for each function and method of a module, one for the rest of it. */
export function hashesOf(text: string): Record<string, string> {
  const tokens: Token[] = [];
  const program = parse(text, { ecmaVersion: 2023, sourceType: 'module', onToken: tokens });
  const words = new Map<string, string[]>();
  const add = (name: string, { start, end }: Node): void => {
    const inside = tokens.filter((token) => token.start >= start && token.end <= end);
    const texts = inside.map((token) => text.slice(token.start, token.end));
    words.set(name, [...(words.get(name) ?? []), ...texts]);
  };
  for (const node of program.body) {
    if (node.type === 'ImportDeclaration') continue;
    const declared = node.type === 'ExportNamedDeclaration' ? (node.declaration ?? node) : node;
    if (declared.type === 'FunctionDeclaration') add(declared.id.name, declared);
    else if (declared.type === 'ClassDeclaration') {
      for (const member of declared.body.body) {
        add(`${declared.id.name}.${keyOf(member)}`, member);
      }
    } else add(REST, declared);
  }
  return Object.fromEntries([...words].map(([name, texts]) => [name, hashOf(texts)]));
}

function keyOf(member: Node): string {
  const { key } = member as Node & { readonly key?: { readonly type: string; name?: string } };
  return key?.type === 'PrivateIdentifier' ? `#${key.name}` : (key?.name ?? member.type);
}

function hashOf(texts: readonly string[]): string {
  return createHash('sha256').update(texts.join('\n')).digest('hex').slice(0, HASH_DIGITS);
}

/** Of the compiled code as it is. */
export function readHashes(): Hashes {
  const hashes: Record<string, Record<string, string>> = {};
  for (const { module, names } of MIRRORED) {
    const all = hashesOf(readFileSync(new URL(`${module}.js`, TOOLKIT), 'utf8'));
    const chosen = Object.entries(all).filter(([name]) => names?.includes(name) ?? true);
    hashes[module] = Object.fromEntries(chosen);
  }
  return hashes;
}

export function recordedHashes(): Hashes {
  return JSON.parse(readFileSync(RECORD, 'utf8')) as Hashes;
}

export function recordHashes(): void {
  writeFileSync(RECORD, `${JSON.stringify(readHashes(), null, 2)}\n`);
}

/** A sentence for each function that is not what was recorded, with what to do. */
export function driftOf(recorded: Hashes, found: Hashes): string[] {
  const drift: string[] = [];
  for (const { module, names, mirrors } of MIRRORED) {
    const before = recorded[module] ?? {};
    const now = found[module] ?? {};
    const all = new Set([...(names ?? []), ...Object.keys(before), ...Object.keys(now)]);
    for (const name of all) {
      if (now[name] !== undefined && now[name] === before[name]) continue;
      const what =
        now[name] === undefined ? 'is gone' : before[name] === undefined ? 'is new' : 'changed';
      drift.push(
        `src/toolkit/${module}.ts: ${name} ${what}: bring ${mirrors.join(' and ')} up to date, ` +
          'then record the new hash: npm run test:model -- --record',
      );
    }
  }
  return drift;
}
