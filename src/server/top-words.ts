/**
 * The words of the question that is asked most: top of what, by what.
 *
 * WHY  The page, the API, the command line and the SQL behind them use the same words; the stages
 *      must not import each other, so they meet here.
 */

export const TOP_SUBJECTS = [
  'subscribers',
  'services',
  'packages',
  'hosts',
  'protocols',
  'exporters',
] as const;
export type TopSubject = (typeof TOP_SUBJECTS)[number];

export const TOP_MEASURES = ['bytes', 'sessions', 'records'] as const;
export type TopMeasure = (typeof TOP_MEASURES)[number];
