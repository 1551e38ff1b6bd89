/**
 * Value hints: what to say about a value that a comparison does not take.
 *
 * WHY      One thing is told, the one that leads on: a hint that asks for quotes where the next one
 *          asks for none sends people in a circle. So it is the field's kind that decides, and what
 *          the value was meant to be.
 */
import { parseBlock } from './address.ts';
import { quoted } from './filter-error.ts';

/** What was found, and what to write instead. */
export interface Hint {
  readonly found: string;
  readonly remedy: string;
}

/** Also `10.0.0` and `10.0.0.0/33`; `1.5` is a number. */
const DOTTED = /^\d+(?:\.\d*){2,}(?:\/.*)?$/;
const HEX_GROUPS = /^[0-9a-f]*(?::[0-9a-f.]*){2,}(?:\/.*)?$/i;
const BLOCK = /^[^/]*\/.*$/;

/** What is wrong with a text that was meant as an address or a block; null where nothing is. */
export function addressHint(text: string): Hint | null {
  if (parseBlock(text) !== null) return null;
  const isDotted = DOTTED.test(text);
  if (!isDotted && !HEX_GROUPS.test(text)) return null;
  const family = isDotted ? 'IPv4' : 'IPv6';
  const [address] = text.split('/') as [string];
  if (BLOCK.test(text) && parseBlock(address) !== null) {
    const found = `not a block of ${family} addresses: ${quoted(text)}`;
    return { found, remedy: `the prefix is 0 to ${isDotted ? 32 : 128}, as in ${address}/24` };
  }
  const remedy = isDotted
    ? 'four numbers of 0 to 255 without leading zeros, as in 10.1.2.3'
    : 'groups of up to four hexadecimal digits, as in 2001:db8::1';
  return { found: `not an ${family} address: ${quoted(text)}`, remedy };
}

/** A value that is no number, for a field that holds numbers. */
export function noNumberHint(name: string, text: string): Hint {
  const address = addressHint(text);
  if (address !== null) return address;
  const example = EXAMPLES[name] ?? 'for example 6';
  return { found: `${quoted(text)} is no number`, remedy: `${name} is a number, ${example}` };
}

const ADDRESS_EXAMPLE = 'for example the address 10.1.2.3';

/** What a value looks like, where a number alone says little. */
const EXAMPLES: Readonly<Record<string, string>> = {
  ip_protocol: 'for example 6 for TCP, 17 for UDP',
  ...Object.fromEntries(
    [
      'client_ip',
      'server_ip',
      'source_ip',
      'destination_ip',
      'attacking_ip',
      'attacked_ip',
      'attack_ip',
      'other_ip',
      'cmts_ip',
      'assigned_ip',
      'released_ip',
    ].map((name) => [name, ADDRESS_EXAMPLE]),
  ),
};
