/**
 * Connection: one TCP connection of an exporter, its block under construction and its numbers.
 *
 * OWNERSHIP  One collector. Objects are made once, up to the connection limit, and reused.
 */

import type { PagePool } from '../../toolkit/pages/index.ts';
import { ADDRESS_BYTES } from '../address.ts';
import type { ExporterTotals } from '../control.ts';
import { BlockBuilder } from './block-builder.ts';

/** Why a connection was closed; `null`: counted by nobody, the server itself ends it. */
export const CloseReason = {
  peer: 'closedByPeer',
  error: 'closedByError',
  idle: 'closedIdle',
  drain: null,
} as const;
export type CloseReason = (typeof CloseReason)[keyof typeof CloseReason];

export class Connection {
  readonly builder: BlockBuilder;
  /** -1 = not in use. */
  fd = -1;
  readonly address = new Uint8Array(ADDRESS_BYTES);
  exporterPort = 0;
  listenerPort = 0;
  connectionId = 0;
  /** Ordinal within the connection of the first record of the block under construction. */
  connectionOrdinal = 0;
  /** Wall time of the first byte of the block, us since 1970; 0 = the block is empty. */
  firstByteUs = 0;
  /** Monotonic time by which the block is cut, ms. */
  lingerAtMs = 0;
  lastByteMs = 0;
  /** Not read until a page or a slot is free again. */
  stalled = false;
  stalledSinceMs = 0;
  /** The peer has closed, or reading failed: what is left is cut, then the connection is closed. */
  ended = false;
  /** Why it is closed, once it has ended; a counter, or null for none. */
  closeReason: CloseReason = CloseReason.drain;
  exporter: ExporterTotals | null = null;

  constructor(pool: PagePool, owner: number) {
    this.builder = new BlockBuilder(pool, owner);
  }

  open(fd: number, connectionId: number, listenerPort: number, nowMs: number): void {
    this.fd = fd;
    this.connectionId = connectionId;
    this.listenerPort = listenerPort;
    this.connectionOrdinal = 0;
    this.firstByteUs = 0;
    this.lingerAtMs = 0;
    this.lastByteMs = nowMs;
    this.stalled = false;
    this.ended = false;
    this.closeReason = CloseReason.drain;
    this.builder.resyncing = false;
  }
}
