/**
 * Random filters and records for tests: texts by the grammar, frames that are whole, odd or broken.
 *
 * Both draw from the same small sets of names and values, so that comparisons hold often enough.
 */
import type { Prng } from '../../toolkit/base/prng.ts';
import { recordByTag } from '../catalog.ts';
import { FIELD_TYPE } from '../constants.ts';

export const CATEGORIES: Readonly<Record<string, readonly number[]>> = {
  usage: [0xf0f0f438, 0xf0f0f43c],
  odd: [0xdeadbeef, 7],
  empty: [],
  'with space': [0xf0f0f005],
};
export const ADDRESSES = ['10.1.2.3', '10.9.9.9', '192.168.0.1', '2001:db8::1', '::1'] as const;
const TAGS = [
  0xf0f0f000, 0xf0f0f005, 0xf0f0f438, 0xf0f0f43c, 0xf0f0f010, 0xdeadbeef, 7, 0xffffffff,
];
const TAG_WORDS = ['TUR', 'link_usage', 'SUBSCRIBER_USAGE_RDR', '0xdeadbeef', '7', '0xf0f0f010'];
const TEXT_FIELDS = ['subscriber_id', 'info_string', 'access_string', 'user_agent'];
const NUMBER_FIELDS = ['package_id', 'service_id', 'client_ip', 'server_port', 'millisec_duration'];
/** Fields that the catalogue is not sure of: compared with anything. */
const FREE_FIELDS = ['unknown_26', 'unknown_28', 'duration', 'up_vlink'];
const HEADERS = [
  'header_source_port',
  'header_field_count',
  'header_length',
  'header_processor_id',
];
const NUMBERS = [0, 1, -1, 2, 80, 255, -128, 65535, 0x0a010203, 0xffffffff, 0.5, 0.1, -0.1, 1e40];
const TEXTS = [
  '',
  'a',
  'ab',
  'abab',
  'b',
  "it's",
  'a\\\\b',
  'é',
  '\\xff\\x00',
  '*',
  'xaby',
  'aaaaaaaab',
];
const PATTERNS = [
  '',
  'a',
  'ab',
  '^a',
  'b$',
  '^ab$',
  'a*b',
  '?b',
  '[a-c]b',
  '[!a]',
  '^*$',
  'a*a*b',
  '[]*]',
];
const BLOCKS = [
  '10.0.0.0/8',
  '10.1.2.3',
  '0.0.0.0/0',
  '192.168.0.0/31',
  '10.1.2.0/23',
  '1.2.3.4/32',
];
const WIDE = ['2001:db8::/32', '::1', '::/0', '2001:db8::/29', ...BLOCKS];
const ORDER = ['=', '!=', '<', '<=', '>', '>='];

export function pick<T>(random: Prng, from: readonly T[]): T {
  return from[random.below(from.length)]!;
}

/** A text that parses. */
export function randomFilter(random: Prng, depth = 0): string {
  const kind = random.below(depth > 5 ? 3 : 8);
  if (kind < 3) return randomCompare(random);
  const inner = (): string => randomFilter(random, depth + 1);
  if (kind === 3) return `not ${random.chance(0.5) ? `(${inner()})` : randomCompare(random)}`;
  if (kind === 4) return `(${inner()})`;
  const terms = Array.from({ length: 2 + random.below(3) }, inner);
  return terms.join(pick(random, [' and ', ' or ', '\n AND ', ' Or ']));
}

function list(random: Prng, from: readonly string[], operator?: string): string {
  if (operator !== undefined && random.chance(0.6)) return `${operator} ${pick(random, from)}`;
  const word = pick(random, ['in', 'not in']);
  const count = 1 + random.below(random.chance(0.2) ? 30 : 9);
  const values = Array.from({ length: count }, () => pick(random, from));
  return `${word} (${values.join(', ')})`;
}

const quote = (text: string): string => `'${text.replaceAll("'", "\\'")}'`;
const CATEGORY_WORDS = Object.keys(CATEGORIES).map(quote);

function randomCompare(random: Prng): string {
  const numbers = NUMBERS.map(String);
  switch (random.below(8)) {
    case 0:
      return random.chance(0.3)
        ? `tag ${pick(random, ORDER)} ${pick(random, TAGS)}`
        : `tag ${list(random, TAG_WORDS, pick(random, ['=', '!=']))}`;
    case 1:
      return `category ${list(random, CATEGORY_WORDS, pick(random, ['=', '!=']))}`;
    case 2:
      return `exporter ${list(random, random.chance(0.5) ? WIDE : BLOCKS)}`;
    case 3:
      return `${pick(random, HEADERS)} ${list(random, numbers, pick(random, ORDER))}`;
    case 4:
      return `${pick(random, TEXT_FIELDS)} ${randomText(random)}`;
    case 5:
      return `${pick(random, FREE_FIELDS)} ${
        random.chance(0.5) ? randomText(random) : list(random, [...numbers, "'a'", '1.2.3.4'])
      }`;
    case 6:
      return `${pick(random, NUMBER_FIELDS)} ${list(random, BLOCKS)}`;
    default:
      return `${pick(random, NUMBER_FIELDS)} ${list(random, numbers, pick(random, ORDER))}`;
  }
}

function randomText(random: Prng): string {
  if (random.chance(0.4)) return `~ ${quote(pick(random, PATTERNS))}`;
  return list(random, TEXTS.map(quote), pick(random, ORDER));
}

/** One whole frame by its length; its fields may be odd, too few, too many or damaged. */
export function randomFrame(random: Prng): Buffer {
  const tag = pick(random, TAGS);
  const expected = recordByTag(tag)?.fields ?? [];
  const count = random.chance(0.7) ? expected.length : random.below(expected.length + 4);
  const parts: Buffer[] = [];
  for (let i = 0; i < count; i++) {
    const type = expected[i]?.type ?? 'UNKNOWN';
    const known = type === 'UNKNOWN' ? pick(random, Object.values(FIELD_TYPE)) : FIELD_TYPE[type];
    parts.push(randomField(random, random.chance(0.1) ? randomType(random) : known));
  }
  const fields = Buffer.concat(parts).subarray(0, 9000);
  const frame = Buffer.alloc(20 + fields.length);
  fields.copy(frame, 20);
  for (let i = 5; i < 15; i++) frame[i] = pick(random, [0, 1, 80, 255]);
  frame.writeUInt32BE(tag, 15);
  frame[19] = random.chance(0.8) ? count : random.below(random.chance(0.7) ? count + 1 : 256);
  if (random.chance(0.4)) damage(random, frame);
  frame[0] = random.below(4);
  return cut(random, frame);
}

function randomType(random: Prng): number {
  return random.chance(0.2) ? random.below(256) : pick(random, Object.values(FIELD_TYPE));
}

/** A frame that is shorter than its fields, and says so in its four digits. */
function cut(random: Prng, frame: Buffer): Buffer {
  const bytes = random.chance(0.15) ? 20 + random.below(frame.length - 19) : frame.length;
  const own = frame.subarray(0, bytes);
  own.write(String(bytes - 5).padStart(4, '0'), 1, 'latin1');
  return own;
}

function damage(random: Prng, frame: Buffer): void {
  for (let i = 1 + random.below(3); i > 0 && frame.length > 20; i--) {
    const at = 20 + random.below(frame.length - 20);
    frame[at] = pick(random, [0, 1, 4, 16, 41, 0x7f, 0x80, 0xff, random.below(256)]);
  }
}

function randomField(random: Prng, type: number): Buffer {
  const value = randomValue(random, type);
  const field = Buffer.alloc(5 + value.length);
  field[0] = type;
  field.writeUInt32BE(value.length, 1);
  value.copy(field, 5);
  return field;
}

function randomValue(random: Prng, type: number): Buffer {
  const bytes = Buffer.alloc(4);
  const number = pick(random, NUMBERS);
  switch (type) {
    case FIELD_TYPE.INT8:
    case FIELD_TYPE.UINT8:
    case FIELD_TYPE.BOOLEAN:
      return Buffer.from([number & 0xff]);
    case FIELD_TYPE.INT16:
    case FIELD_TYPE.UINT16:
      return Buffer.from([(number >> 8) & 0xff, number & 0xff]);
    case FIELD_TYPE.INT32:
    case FIELD_TYPE.UINT32:
      bytes.writeInt32BE(number | 0);
      return bytes;
    case FIELD_TYPE.FLOAT:
      bytes.writeFloatBE(random.chance(0.2) ? Number.NaN : number);
      return bytes;
    default:
      return Buffer.from(
        pick(random, ['', 'a', 'ab', 'xaby', 'b', "it's", 'a\\b', 'é', 'aaaaaaaab']),
      );
  }
}
