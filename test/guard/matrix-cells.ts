/**
 * The culprits of the matrix: one function a way to write, each with its line marked, and one
 * caller each, into which the optimiser can inline it.
 */

export interface Target {
  readonly bytes: Uint8Array;
  readonly doubles: Float64Array;
  readonly longs: BigInt64Array;
  readonly words: Int32Array;
  readonly data: DataView;
  readonly buffer: Buffer;
}

export interface Cell {
  readonly name: string;
  /** Writes at a byte offset that is a multiple of 64. */
  readonly write: (target: Target, offset: number) => void;
  /** Does nothing but call `write`. */
  readonly caller: (target: Target, offset: number) => void;
  /** The bytes afterwards, in hex. */
  readonly expected: string;
}

const SOURCE = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const encoder = new TextEncoder();

function storeByte(target: Target, offset: number) {
  target.bytes[offset] = 0x2a; // culprit: storeByte
}

function storeDouble(target: Target, offset: number) {
  target.doubles[offset >> 3] = -2; // culprit: storeDouble
}

function storeLong(target: Target, offset: number) {
  target.longs[offset >> 3] = 0x1122334455667788n; // culprit: storeLong
}

function fill(target: Target, offset: number) {
  target.bytes.fill(7, offset, offset + 8); // culprit: fill
}

function set(target: Target, offset: number) {
  target.bytes.set(SOURCE, offset); // culprit: set
}

function setFloat64(target: Target, offset: number) {
  target.data.setFloat64(offset, -2); // culprit: setFloat64
}

function atomicsStore(target: Target, offset: number) {
  Atomics.store(target.words, offset >> 2, 0x2a); // culprit: atomicsStore
}

function atomicsAdd(target: Target, offset: number) {
  Atomics.add(target.words, offset >> 2, 3); // culprit: atomicsAdd
}

function copyWithin(target: Target, offset: number) {
  target.bytes.copyWithin(offset, 0, 8); // culprit: copyWithin
}

function encodeInto(target: Target, offset: number) {
  encoder.encodeInto('scribble', target.bytes.subarray(offset)); // culprit: encodeInto
}

function bufferWrite(target: Target, offset: number) {
  target.buffer.write('scribble', offset, 'latin1'); // culprit: bufferWrite
}

/** The first 8 bytes of the memory, which copyWithin copies. */
export const START = 'c0ffeec0ffee1234';

function cell(name: string, write: Cell['write'], caller: Cell['write'], expected: string): Cell {
  return { name, write, caller, expected };
}

export const CELLS: readonly Cell[] = [
  cell('storeByte', storeByte, (target, offset) => storeByte(target, offset), '2a00000000000000'),
  cell(
    'storeDouble',
    storeDouble,
    (target, offset) => storeDouble(target, offset),
    '00000000000000c0',
  ),
  cell('storeLong', storeLong, (target, offset) => storeLong(target, offset), '8877665544332211'),
  cell('fill', fill, (target, offset) => fill(target, offset), '0707070707070707'),
  cell('set', set, (target, offset) => set(target, offset), '0102030405060708'),
  cell(
    'setFloat64',
    setFloat64,
    (target, offset) => setFloat64(target, offset),
    'c000000000000000',
  ),
  cell(
    'atomicsStore',
    atomicsStore,
    (target, offset) => atomicsStore(target, offset),
    '2a00000000000000',
  ),
  cell(
    'atomicsAdd',
    atomicsAdd,
    (target, offset) => atomicsAdd(target, offset),
    '0300000000000000',
  ),
  cell('copyWithin', copyWithin, (target, offset) => copyWithin(target, offset), START),
  cell(
    'encodeInto',
    encodeInto,
    (target, offset) => encodeInto(target, offset),
    '7363726962626c65',
  ),
  cell(
    'bufferWrite',
    bufferWrite,
    (target, offset) => bufferWrite(target, offset),
    '7363726962626c65',
  ),
];
