/**
 * Pseudo-random numbers with a seed: xoshiro128** by Blackman and Vigna (https://prng.di.unimi.it).
 *
 * WHY        A generator run and a fuzz run must be repeatable from one printed seed on any
 *            machine, so 32-bit integer arithmetic only. Not for secrets.
 * SEEDING    splitmix32 spreads one 32-bit seed over the four state words, so that near seeds give
 *            unrelated streams.
 */

/** A repeatable stream of 32-bit numbers. Not shared between threads. */
export class Prng {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number) {
    let state = seed >>> 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return (z ^ (z >>> 15)) >>> 0;
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next() | 1;
  }

  /** Uniform in 0 .. 2^32 - 1. */
  nextU32(): number {
    const scaled = Math.imul(this.#b, 5);
    const result = Math.imul((scaled << 7) | (scaled >>> 25), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  /** Uniform in 0 .. bound - 1; bound in 1 .. 2^32 (bias below 2^-21 for bounds under 2^32). */
  below(bound: number): number {
    return Math.floor((this.nextU32() / 4294967296) * bound);
  }

  /** Uniform in [0, 1), 32 bits of resolution. */
  unit(): number {
    return this.nextU32() / 4294967296;
  }

  /** True with the given probability (0 .. 1). */
  chance(probability: number): boolean {
    return this.unit() < probability;
  }
}
