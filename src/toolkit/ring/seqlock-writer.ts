/**
 * SeqlockWriter: the writing end of a SeqlockCell, where protocol and invariants stand.
 *
 * OWNERSHIP  One writer a cell, one thread.
 * PROGRESS   every method is wait-free: readers hold nothing up.
 */
import { assert } from '../base/assert.ts';
import { claimRole, closeRole, isClosable } from './roles.ts';
import type { SeqlockCellHandle } from './seqlock-cell.ts';
import { seqlockBegin, seqlockEnd, seqlockPut, seqlockWrite } from './seqlock-kernel.ts';
import { SEQLOCK_BASE_WORD, SEQLOCK_WRITER_WORD } from './seqlock-layout.ts';
import { ITEM_BYTES, type ItemKind, type SlotArrays } from './spsc-handle.ts';

const BASE = SEQLOCK_BASE_WORD;

export class SeqlockWriter<Kind extends ItemKind = 'int32'> {
  readonly handle: SeqlockCellHandle<Kind>;
  readonly #words: Int32Array;
  /** The record to be written, as values and as int32 words of the same memory. */
  readonly #values: SlotArrays[Kind];
  readonly #halves: Int32Array;
  readonly #itemWords: number;
  #isOpen = false;
  #isTorn: boolean;

  /** Takes the role; see SeqlockCell.writer. */
  constructor(handle: SeqlockCellHandle<Kind>) {
    const { buffer, item, length } = handle;
    const words = new Int32Array(buffer);
    claimRole(words, SEQLOCK_WRITER_WORD);
    this.handle = handle;
    this.#words = words;
    this.#itemWords = ITEM_BYTES[item] / 4;
    this.#halves = new Int32Array(length * this.#itemWords);
    const values = item === 'int32' ? this.#halves : new Float64Array(this.#halves.buffer);
    this.#values = values as SlotArrays[Kind];
    this.#isTorn = (words[BASE]! & 1) !== 0;
  }

  /**
   * The writer before this one died in the middle: readers get nothing until the first write()
   * of this one.
   */
  get isTorn(): boolean {
    return this.#isTorn;
  }

  /** The whole record becomes the first `length` of `values`. */
  write(values: SlotArrays[Kind]): void {
    const own = this.#values;
    const { length } = own;
    assert(values.length >= length, 'a record is written whole');
    assert(!this.#isOpen, 'between begin and end there is no write');
    for (let index = 0; index < length; index++) own[index] = values[index]!;
    seqlockWrite(this.#words, BASE, this.#halves, 0, this.#halves.length);
    this.#isTorn = false;
  }

  /** Some values change, by put(), and the others stay; readers see nothing before end(). */
  begin(): void {
    assert(!this.#isOpen, 'one begin for each end');
    assert(!this.#isTorn, 'a torn record is written whole first');
    this.#isOpen = true;
    seqlockBegin(this.#words, BASE);
  }

  /** Between begin() and end(). */
  put(index: number, value: number): void {
    const itemWords = this.#itemWords;
    const word = index * itemWords;
    assert(this.#isOpen && index >= 0 && index < this.handle.length, 'a value of an open record');
    this.#values[index] = value;
    seqlockPut(this.#words, BASE, word, this.#halves[word]!);
    if (itemWords === 2) seqlockPut(this.#words, BASE, word + 1, this.#halves[word + 1]!);
  }

  end(): void {
    assert(this.#isOpen, 'one begin for each end');
    this.#isOpen = false;
    seqlockEnd(this.#words, BASE);
  }

  /** Gives the role back; the record stays readable. */
  close(): void {
    if (!isClosable(this.#words, SEQLOCK_WRITER_WORD)) return;
    if (this.#isOpen) this.end();
    closeRole(this.#words, SEQLOCK_WRITER_WORD);
  }
}
