/**
 * Tag counts: how many records of each type came.
 */
import { recordByTag } from '../rdr/index.ts';

/** A peer that sends garbage could otherwise fill memory with tags. */
const TAGS_MAX = 1024;

export class TagCounts {
  readonly #indexByTag = new Map<number, number>();
  readonly #counts = new Float64Array(TAGS_MAX + 1);

  add(tag: number): void {
    let index = this.#indexByTag.get(tag);
    if (index === undefined) {
      index = Math.min(this.#indexByTag.size, TAGS_MAX);
      if (index < TAGS_MAX) this.#indexByTag.set(tag, index);
    }
    this.#counts[index] = this.#counts[index]! + 1;
  }

  /** Name, or the tag in hex, -> records; `other` for tags beyond the first 1,024. */
  toJson(): Record<string, number> {
    const json: Record<string, number> = {};
    for (const [tag, index] of this.#indexByTag) {
      const name = recordByTag(tag)?.name ?? `0x${tag.toString(16).padStart(8, '0')}`;
      json[name] = this.#counts[index]!;
    }
    const others = this.#counts[TAGS_MAX]!;
    return others === 0 ? json : { ...json, other: others };
  }
}
