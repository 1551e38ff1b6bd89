/**
 * Exporters: totals per sending address, over all its connections of this process life.
 *
 * WHY      An operator compares them with the SCE's own counters (sent, discarded) by address.
 * BOUND    EXPORTER_COUNT_MAX addresses; those beyond share one row, `others`, so that an open port
 *          cannot grow memory.
 */
import { ADDRESS_BYTES, formatAddress } from '../address.ts';
import type { ExporterTotals } from '../control.ts';

export const EXPORTER_COUNT_MAX = 1024;

export class Exporters {
  readonly #rows = new Map<string, ExporterTotals>();

  /** The row of an address (16 bytes), made when it is new. */
  row(address: Uint8Array): ExporterTotals {
    const text = formatAddress(address.subarray(0, ADDRESS_BYTES));
    const key = this.#rows.has(text) || this.#rows.size < EXPORTER_COUNT_MAX ? text : 'others';
    let row = this.#rows.get(key);
    if (row === undefined) {
      row = {
        address: key,
        connections: 0,
        records: 0,
        bytes: 0,
        resyncBytes: 0,
        truncatedBytes: 0,
        lastSeenMs: 0,
      };
      this.#rows.set(key, row);
    }
    return row;
  }

  /** Plain data for the once-a-second report. */
  report(): readonly ExporterTotals[] {
    return [...this.#rows.values()];
  }
}
