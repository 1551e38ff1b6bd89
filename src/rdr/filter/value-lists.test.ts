import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBlock } from './address.ts';
import {
  isInBlocks,
  isInNetworks,
  isOneOf,
  isOneText,
  networkList,
  numberList,
  textList,
} from './value-lists.ts';

test('each value of a list is found, and its neighbours are not', () => {
  for (const count of [0, 1, 2, 3, 16, 17, 100]) {
    const numbers = Array.from({ length: count }, (_, i) => 3 * ((7 * i) % 101) - 50);
    const list = numberList([...numbers, ...numbers]);
    assert.equal(list.length, count);
    for (const number of numbers) {
      assert.ok(isOneOf(list, number));
      for (const near of [number - 1, number + 0.5, number + 1]) assert.ok(!isOneOf(list, near));
    }
    assert.ok(![Number.NaN, Infinity, -Infinity].some((number) => isOneOf(list, number)));
  }
});

test('a text is found wherever it stands, one of another length or byte is not', () => {
  const texts = ['', 'a', 'b', 'ab', 'ba', 'aa', 'abc', 'abd', '\u00ff'];
  const list = textList(texts.map((text) => Buffer.from(text)));
  const find = (text: string): boolean => {
    const bytes = Buffer.from(`x${text}y`);
    return isOneText(bytes, 1, bytes.length - 2, list);
  };
  for (const text of texts) assert.ok(find(text), text);
  for (const text of ['c', 'bb', 'abb', 'abe', 'abcd', 'x']) assert.ok(!find(text), text);
});

test('an address is found in each of the blocks, by word and by bytes', () => {
  const inside = ['10.1.2.3', '192.168.7.9', '255.255.255.255'];
  const blocks = ['10.0.0.0/8', '192.168.7.8/31', '255.255.255.255'].map((text) => {
    return parseBlock(text)!;
  });
  const networks = networkList(blocks);
  const ask = (text: string): boolean[] => {
    const { bytes } = parseBlock(text)!;
    const word = new DataView(bytes.buffer).getInt32(12);
    return [isInNetworks(networks, word), isInBlocks(blocks, bytes)];
  };
  for (const text of inside) assert.deepEqual(ask(text), [true, true], text);
  const outside = ['11.1.2.3', '192.168.7.10', '255.255.255.254', '0.0.0.0', '8.0.0.0'];
  for (const text of outside) assert.deepEqual(ask(text), [false, false], text);
  assert.equal(isInBlocks([parseBlock('::/0')!], new Uint8Array(16)), false);
});
