/**
 * Shares: what each member of a load-balancing group takes of a block.
 *
 * WHY        All members walk all blocks; what they take is worked out once, for all of them.
 * BY HASH    The bytes of a field decide, so that all records with one value go to one member;
 *            records without the field go by their exporter, in whose blocks they are.
 * BY BLOCK   In turn: the block's ordinal modulo the members of its epoch, in the order of their
 *            names. The journal counts the blocks and each header says its ordinal, so that every
 *            member knows whose turn it is, whatever it has not seen (a gap, an epoch before it
 *            began). A damaged header costs one turn and moves nobody else's. A block of which the
 *            filter chooses nothing has its turn as well.
 * REFUSED    A counter of the member's own (members that met a gap would disagree, and lose or
 *            double); a hash of the position (even over many blocks only, two in a row to one);
 *            the order of the configuration (a reload may change it, an epoch on disk may not).
 */
import type { RecordPredicate } from '../../rdr/filter/ast.ts';
import { type FieldFinder, fieldBytesAt } from '../../rdr/filter/field-finder.ts';
import { RecordRuns } from '../../rdr/filter/record-runs.ts';
import { BAD_PREFIX, frameLength } from '../../rdr/index.ts';
import type { BlockBytes, BlockPayload } from './block-bytes.ts';
import type { CursorBlock } from './block-cursor.ts';
import {
  type BlockSelector,
  SELECT_DAMAGED,
  SELECT_FULL,
  type Selected,
  type SelectResult,
} from './channel-parts.ts';
import type { Epoch, Epochs } from './epochs.ts';
import { hashBytes, Rendezvous } from './hash.ts';
import { NOTHING, type Pieces, releasePieces, SelectionCache } from './selection.ts';

/** How a block is shared. */
export type SharesBy =
  | { readonly by: 'block' | 'exporter' }
  | { readonly by: 'field'; readonly finder: FieldFinder };

export interface SharesParts {
  readonly how: SharesBy;
  readonly epochs: Epochs;
  /** What the group's filter chooses, for blocks that go to one member as a whole. */
  readonly whole: BlockSelector;
  /** null: every record. */
  readonly predicate: RecordPredicate | null;
  readonly bytes: BlockBytes;
  readonly pieces: Pieces;
}

type Split = readonly Selected[] | typeof SELECT_DAMAGED | typeof SELECT_FULL;

export class Shares {
  readonly #parts: SharesParts;
  readonly #cache: SelectionCache<Split>;
  #epoch: Epoch | null = null;
  #group = new Rendezvous(['']);
  #runs: RecordRuns[] = [];

  constructor(parts: SharesParts) {
    this.#parts = parts;
    const { pool } = parts.pieces;
    this.#cache = new SelectionCache(pool, (split) => {
      if (typeof split !== 'string') releaseAll(split);
    });
    pool.addCache(this.#cache);
  }

  /** The group is no more, or another one. */
  close(): void {
    const { pieces } = this.#parts;
    pieces.pool.removeCache(this.#cache);
    this.#cache.clear();
    pieces.close();
  }

  get epochs(): Epochs {
    return this.#parts.epochs;
  }

  /** What this member takes. */
  selectorOf(member: string): BlockSelector {
    return { select: (block) => this.#select(block, member) };
  }

  #select(block: CursorBlock, member: string): SelectResult {
    const { how, epochs, whole } = this.#parts;
    if (block.position >= epochs.heldPosition) return SELECT_FULL;
    this.#enter(epochs.at(block.position));
    const index = this.#group.members.indexOf(member);
    if (index < 0) return NOTHING;
    if (how.by !== 'field') {
      const taker =
        how.by === 'block' ? this.#turnOf(block) : this.#group.pick(hashExporter(block));
      return taker === index ? whole.select(block) : NOTHING;
    }
    const found = this.#cache.find(block.position);
    const split = found ?? this.#split(block, how.finder);
    if (found === null && split !== SELECT_FULL) this.#cache.add(block.position, split);
    return typeof split === 'string' ? split : split[index]!;
  }

  /** Index of the member whose turn the block is, of those of its epoch. */
  #turnOf({ header: { blockOrdinal } }: CursorBlock): number {
    return blockOrdinal % this.#group.members.length;
  }

  #enter(epoch: Epoch): void {
    if (this.#epoch === epoch) return;
    this.#epoch = epoch;
    this.#group = new Rendezvous(epoch.members);
    this.#runs = epoch.members.map(() => new RecordRuns());
  }

  #split(block: CursorBlock, finder: FieldFinder): Split {
    const payload = this.#parts.bytes.read(block);
    if (payload === null) return SELECT_DAMAGED;
    if (this.#fillRuns(block, payload, finder) !== block.header.recordCount) return SELECT_DAMAGED;
    const split: Selected[] = [];
    for (const runs of this.#runs) {
      const selected = this.#parts.pieces.make(block, payload, runs);
      if (selected === null) {
        releaseAll(split);
        return SELECT_FULL;
      }
      split.push(selected);
    }
    return split;
  }

  /** Records that were looked at. */
  #fillRuns(block: CursorBlock, payload: BlockPayload, finder: FieldFinder): number {
    const { predicate } = this.#parts;
    const { bytes, view, length } = payload;
    const { exporter } = block.header;
    const ofExporter = this.#group.pick(hashExporter(block));
    for (const runs of this.#runs) runs.clear();
    let member = -1;
    let from = 0;
    let records = 0;
    let at = 0;
    let walked = 0;
    while (at < length) {
      const frameBytes = frameLength(bytes, at);
      if (frameBytes === BAD_PREFIX || at + frameBytes > length) break;
      let next = -1;
      if (predicate === null || predicate(bytes, view, at, frameBytes, exporter)) {
        const place = finder(bytes, view, at, frameBytes);
        next =
          place < 0
            ? ofExporter
            : this.#group.pick(hashBytes(bytes, place, fieldBytesAt(view, place)));
      }
      if (next !== member) {
        if (member >= 0) this.#runs[member]!.add(from, at - from, records);
        member = next;
        from = at;
        records = 0;
      }
      records++;
      walked++;
      at += frameBytes;
    }
    if (member >= 0) this.#runs[member]!.add(from, at - from, records);
    return walked;
  }
}

function releaseAll(split: readonly Selected[]): void {
  for (const { pieces } of split) releasePieces(pieces);
}

function hashExporter({ header: { exporter } }: CursorBlock): number {
  return hashBytes(exporter, 0, exporter.length);
}
