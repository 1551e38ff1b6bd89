/**
 * Selectors: what each channel chooses, shared between channels that choose the same.
 */
import type { RecordPredicate } from '../../rdr/filter/ast.ts';
import { compileFilter } from '../../rdr/filter/compile.ts';
import { makeFieldFinder } from '../../rdr/filter/field-finder.ts';
import { parseFilter } from '../../rdr/filter/parser.ts';
import { BlockBytes } from './block-bytes.ts';
import type { BlockSelector } from './channel-parts.ts';
import { Gather, GatherPool } from './gather.ts';
import type { Groups } from './groups.ts';
import type { ChannelOptions } from './options.ts';
import { FilterSelection, GATHER_BELOW_BYTES, Pieces, wholeBlock } from './selection.ts';
import { Shares, type SharesBy } from './shares.ts';

const WHOLE_BLOCKS: BlockSelector = { select: wholeBlock };

export class Selectors {
  readonly #groups: Groups;
  readonly #gatherBelowBytes: number;
  readonly #bytes = new BlockBytes();
  readonly pool = new GatherPool();
  readonly #byFilter = new Map<string, FilterSelection>();
  readonly #byGroup = new Map<string, Shares>();

  /** `gatherBelowBytes` is for the bench. */
  constructor(groups: Groups, gatherBelowBytes = GATHER_BELOW_BYTES) {
    this.#groups = groups;
    this.#gatherBelowBytes = gatherBelowBytes;
  }

  /** Throws MR_FILTER; the configuration was checked with the same parser. */
  of(channel: ChannelOptions): BlockSelector {
    const { balance, filter } = channel;
    if (balance === null) return this.#ofFilter(filter);
    const key = groupKey(channel);
    let shares = this.#byGroup.get(key);
    const epochs = this.#groups.epochsOf(channel.group!);
    if (shares === undefined || shares.epochs !== epochs) {
      shares?.close();
      shares = new Shares({
        how: sharesBy(balance),
        epochs,
        whole: this.#ofFilter(filter),
        predicate: predicateOf(filter),
        bytes: this.#bytes,
        pieces: this.#pieces(),
      });
      this.#byGroup.set(key, shares);
    }
    return shares.selectorOf(balance.members[balance.self]!);
  }

  /** After a reload: what none of these channels chooses by goes, and its memory. */
  keepOnly(channels: readonly ChannelOptions[]): void {
    const filters = new Set(channels.map(({ filter }) => filter));
    const groups = new Set(channels.filter(({ balance }) => balance !== null).map(groupKey));
    for (const [filter, selection] of this.#byFilter) {
      if (filters.has(filter)) continue;
      selection.close();
      this.#byFilter.delete(filter);
    }
    for (const [key, shares] of this.#byGroup) {
      if (groups.has(key)) continue;
      shares.close();
      this.#byGroup.delete(key);
    }
  }

  #ofFilter(filter: string): BlockSelector {
    const known = this.#byFilter.get(filter);
    if (known !== undefined) return known;
    const predicate = predicateOf(filter);
    if (predicate === null) return WHOLE_BLOCKS;
    const selection = new FilterSelection(predicate, this.#bytes, this.#pieces());
    this.#byFilter.set(filter, selection);
    return selection;
  }

  #pieces(): Pieces {
    return new Pieces(new Gather(this.pool), this.#gatherBelowBytes);
  }
}

/** Channels with one key share blocks among each other. */
function groupKey({ group, filter, balance }: ChannelOptions): string {
  return JSON.stringify([group, filter, balance!.by, balance!.field]);
}

function predicateOf(filter: string): RecordPredicate | null {
  return filter === '' ? null : compileFilter(parseFilter(filter));
}

function sharesBy({ by, field }: NonNullable<ChannelOptions['balance']>): SharesBy {
  if (by === 'block') return { by: 'block' };
  if (field === 'exporter') return { by: 'exporter' };
  return { by: 'field', finder: makeFieldFinder(field) };
}
