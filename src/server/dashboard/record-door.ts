/**
 * Record door: one search of the journal at a time, and few that wait.
 *
 * WHY      A search is work of the main thread: ten at once would make each ten times as slow and
 *          hold ten windows of memory. Whoever has gone meanwhile is not searched for.
 */
import { compileFilter, parseFilter } from '../../rdr/index.ts';
import { MillraceError } from '../../toolkit/base/errors.ts';
import { BlockStarts } from './block-starts.ts';
import { RecordSearch, type SearchAnswer } from './record-search.ts';
import type { SearchedJournal } from './source.ts';

const WAITING_MAX = 8;

export class RecordDoor {
  readonly #journal: SearchedJournal;
  readonly #starts = new BlockStarts();
  #last: Promise<unknown> = Promise.resolve();
  #underWay = 0;

  constructor(journal: SearchedJournal) {
    this.#journal = journal;
  }

  /** Time passes: what is published now is the end of a block. */
  step(): void {
    this.#starts.note(this.#journal.publishedPosition());
  }

  /**
   * The newest records that the filter chooses, newest first. Throws MR_FILTER, MR_HTTP_SEARCH.
   */
  async search(filter: string, limit: number, isWanted: () => boolean): Promise<SearchAnswer> {
    const { categories } = this.#journal;
    const isChosen = compileFilter(parseFilter(filter), { categories: categories() });
    if (this.#underWay > WAITING_MAX) {
      throw new MillraceError(
        'MR_HTTP_SEARCH',
        `one search runs and ${WAITING_MAX} wait`,
        'ask again in a few seconds',
      );
    }
    const question = { isChosen, limit, isWanted };
    const search = this.#last.then(() =>
      new RecordSearch(this.#journal, this.#starts, question).run(),
    );
    this.#last = search.catch(() => undefined);
    this.#underWay += 1;
    try {
      return await search;
    } catch (error) {
      const why = error instanceof MillraceError ? `: ${error.message}` : '';
      throw new MillraceError(
        'MR_HTTP_SEARCH',
        `the journal cannot be searched now${why}`,
        'ask again in a few seconds; the log of the server has the reason',
        { cause: error },
      );
    } finally {
      this.#underWay -= 1;
    }
  }
}
