/**
 * Views of parts of one typed array, kept: ranges of a ring come again with every lap.
 */
import type { SlotArrays } from './spsc-handle.ts';

const VIEW_COUNT_MAX = 256;

export class ViewCache<View extends SlotArrays[keyof SlotArrays]> {
  readonly #whole: View;
  readonly #views = new Map<number, View>();

  constructor(whole: View) {
    this.#whole = whole;
  }

  /** Items [at, at + length). */
  view(at: number, length: number): View {
    const key = at * (this.#whole.length + 1) + length;
    let view = this.#views.get(key);
    if (view === undefined) {
      if (this.#views.size === VIEW_COUNT_MAX) this.#views.clear();
      view = this.#whole.subarray(at, at + length) as View;
      this.#views.set(key, view);
    }
    return view;
  }
}
