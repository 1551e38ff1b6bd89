/**
 * Compiler: a filter as a predicate over the bytes of a record, by code made for it.
 *
 * WHY      A forwarder asks once for each record and each filter: a test of the tag has to cost a
 *          few nanoseconds, a comparison of a field the walk to it. bench/rdr-filter.ts measures.
 */
import { isInBlock, isKnownAddress } from './address.ts';
import type { Filter, FilterContext, RecordPredicate } from './ast.ts';
import { compareText, fieldAt, isText, numberAt } from './field-walk.ts';
import { matches } from './pattern.ts';
import { planFilter } from './plan.ts';
import { FilterSource } from './source.ts';
import { isInBlocks, isInNetworks, isOneOf, isOneText } from './value-lists.ts';

/** What generated code may call. */
const HELPERS = {
  compareText,
  fieldAt,
  isInBlock,
  isInBlocks,
  isInNetworks,
  isKnownAddress,
  isOneOf,
  isOneText,
  isText,
  matches,
  numberAt,
};

/**
 * The predicate of a filter; it allocates nothing and never throws, whatever a frame holds. Not to
 * be used by two threads or re-entered (patterns keep their state in it). Throws MR_FILTER for a
 * category that the context does not have, and for a filter of too much code.
 */
export function compileFilter(filter: Filter, context: FilterContext = {}): RecordPredicate {
  const { constants, source } = makeSource(filter, context);
  // Made of numbers and our own text only: nothing of the filter's text gets into the source.
  // oxlint-disable-next-line typescript/no-implied-eval
  const make = new Function('constants', ...Object.keys(HELPERS), source);
  return make(constants, ...Object.values(HELPERS)) as RecordPredicate;
}

/** Source text of the predicate's factory, for tests and for people who want to read it. */
export function filterSource(filter: Filter, context: FilterContext = {}): string {
  return makeSource(filter, context).source;
}

/** Would it compile? Throws the MR_FILTER that compileFilter throws; makes no code. */
export function checkFilter(filter: Filter, context: FilterContext = {}): void {
  planFilter(filter, context);
}

function makeSource(filter: Filter, context: FilterContext) {
  const plan = planFilter(filter, context);
  const emitter = new FilterSource();
  const source = emitter.make(plan);
  return { constants: emitter.constants, source };
}
