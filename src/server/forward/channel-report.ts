/**
 * Channel report: what a ledger says, in the terms of the forward report.
 */
import type { Ledger } from './ledger.ts';
import type { ChannelReport } from './report.ts';

/** What the journal has published: JournalShared. */
export interface PublishedEnd {
  readonly publishedPosition: number;
  readonly publishedOrdinal: number;
}

export type LedgerNumbers = Pick<
  ChannelReport,
  | 'received'
  | 'pending'
  | 'delivered'
  | 'filtered'
  | 'dropped'
  | 'resent'
  | 'position'
  | 'lagRecords'
  | 'lagBytes'
>;

export function ledgerNumbers(ledger: Ledger, published: PublishedEnd): LedgerNumbers {
  const { publishedPosition, publishedOrdinal } = published;
  const at = ledger.committed;
  const isStarted = ledger.readOrdinal >= 0;
  const unread = isStarted ? Math.max(0, publishedOrdinal - ledger.readOrdinal) : 0;
  const pending = unread + ledger.waiting;
  const { delivered, filtered, ...drops } = ledger.totals();
  const { cut, interrupted, lag, retention, damaged, removed } = drops;
  return {
    received: isStarted ? Math.max(publishedOrdinal, ledger.readOrdinal) - at.startOrdinal : 0,
    pending,
    delivered,
    filtered,
    dropped: { cut, interrupted, lag, retention, damaged, removed },
    resent: at.resent,
    position: at.position,
    lagRecords: pending,
    lagBytes: Math.max(0, publishedPosition - at.position),
  };
}
