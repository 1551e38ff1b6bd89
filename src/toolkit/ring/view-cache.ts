/**
 * Views of parts of one typed array, kept: ranges of a ring come again with every lap. A range has
 * one place; who comes last keeps it, so that ranges which never repeat cost a view each and no
 * more.
 */
const PLACE_BITS = 8;
/** Spreads ranges over the places (2^32 / golden ratio). */
const SPREAD = 0x9e37_79b1;

export class ViewCache<View extends Int32Array | Float64Array | Uint8Array> {
  readonly #whole: View;
  readonly #froms = new Int32Array(1 << PLACE_BITS).fill(-1);
  readonly #tos = new Int32Array(1 << PLACE_BITS);
  readonly #views: View[];

  constructor(whole: View) {
    this.#whole = whole;
    this.#views = Array.from({ length: 1 << PLACE_BITS }, () => whole);
  }

  /** Items [from, to). */
  view(from: number, to: number): View {
    const place = Math.imul(from + Math.imul(to, 31), SPREAD) >>> (32 - PLACE_BITS);
    if (this.#froms[place] === from && this.#tos[place] === to) return this.#views[place]!;
    const view = this.#whole.subarray(from, to) as View;
    this.#froms[place] = from;
    this.#tos[place] = to;
    this.#views[place] = view;
    return view;
  }
}
