/**
 * CounterWriter: the adding end of one slab.
 *
 * OWNERSHIP  One thread, which holds the role. `values` are the live words: nobody else writes or
 *            reads them while this thread lives.
 * PROGRESS   every method is wait-free.
 */
import { assert } from '../base/assert.ts';
import { chooseBackend } from '../ring/backend.ts';
import { loadKernel } from '../ring/index.ts';
import { claimRole, closeRole, isClosable } from '../ring/roles.ts';
import { counterPublish } from './counters-kernel.ts';
import { type CounterHandle, slabPlace } from './counters-layout.ts';
import { COUNTERS_WAT, type CountersKernel } from './counters-wasm.ts';

export class CounterWriter<Name extends string = string> {
  readonly handle: CounterHandle<Name>;
  /** Which of the writers. */
  readonly writer: number;
  /**
   * The live words, in the order of `names`: a hot path adds by a constant index. Exact integers up
   * to 2^53. Others see them after publish().
   */
  readonly values: Float64Array;
  readonly #words: Int32Array;
  readonly #live: number;
  readonly #role: number;
  readonly #base: number;
  readonly #count: number;
  readonly #kernel: CountersKernel | null;

  /** Takes the role; see Counters.writer. */
  constructor(handle: CounterHandle<Name>, writer: number) {
    const { memory, names, writerCount } = handle;
    assert(writer >= 0 && writer < writerCount, 'a writer is one of the slabs that were made');
    const words = new Int32Array(memory.buffer);
    const place = slabPlace(names.length, writer);
    claimRole(words, place.roleWord);
    this.handle = handle;
    this.writer = writer;
    this.values = new Float64Array(memory.buffer, place.liveWord * 4, names.length);
    this.#words = words;
    this.#live = place.liveWord;
    this.#role = place.roleWord;
    this.#base = place.baseWord;
    this.#count = place.wordCount;
    const isWasm = chooseBackend(handle.backend, 'wasm', memory) === 'wasm' && names.length > 0;
    this.#kernel = isWasm ? loadKernel<CountersKernel>(COUNTERS_WAT, memory) : null;
  }

  /** The index of a counter in `values`, looked up once at start. */
  index(name: Name): number {
    const index = this.handle.names.indexOf(name);
    assert(index >= 0, 'a counter that is not in the list of its slab');
    return index;
  }

  add(name: Name, amount: number): void {
    this.values[this.index(name)]! += amount;
  }

  set(name: Name, value: number): void {
    this.values[this.index(name)] = value;
  }

  /** The live word. */
  get(name: Name): number {
    return this.values[this.index(name)]!;
  }

  /**
   * Shows all counters, as they are now, to readers; they see all of it or nothing. Between two
   * calls counters may contradict each other. False: nothing had changed, and nothing was stored.
   */
  publish(): boolean {
    const kernel = this.#kernel;
    if (kernel === null) return counterPublish(this.#words, this.#live, this.#base, this.#count);
    return kernel.publish(this.#live << 2, this.#base << 2, this.#count >> 1) !== 0;
  }

  /** Publishes, and gives the role back. */
  close(): void {
    if (!isClosable(this.#words, this.#role)) return;
    this.publish();
    closeRole(this.#words, this.#role);
  }
}
