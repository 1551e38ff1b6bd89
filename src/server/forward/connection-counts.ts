/**
 * Counts of the connections of one destination: plain numbers, added to by all of them.
 */
export interface ConnectionCounts {
  /** Bytes that TCP took, and of these the ones that the peers' TCP acknowledged. */
  sentBytes: number;
  ackedBytes: number;
  /** Records that TCP took whole; sent again they count again. */
  sentRecords: number;
  /** Records in which a connection broke: its stream ends with a part of one. */
  cutRecords: number;
  /** Bytes on their way when a connection was lost: nobody knows whether they arrived. */
  unackedBytesAtLoss: number;
  connects: number;
  /** Of these, the ones that took the place of a lost one. */
  reconnects: number;
  /** Connections lost, the peer's closing of its end included. */
  breaks: number;
  /** Addresses that could not be connected to. */
  connectErrors: number;
  resolveErrors: number;
  /** Bytes that destinations said, read and thrown away. */
  talkedBackBytes: number;
}

export function makeConnectionCounts(): ConnectionCounts {
  return {
    sentBytes: 0,
    ackedBytes: 0,
    sentRecords: 0,
    cutRecords: 0,
    unackedBytesAtLoss: 0,
    connects: 0,
    reconnects: 0,
    breaks: 0,
    connectErrors: 0,
    resolveErrors: 0,
    talkedBackBytes: 0,
  };
}
