/**
 * Whole blocks: the selection of a channel without a filter: every record, from the file.
 */
import type { CursorBlock } from './block-cursor.ts';
import type { BlockSelector, Selected } from './channel-parts.ts';

export class WholeBlocks implements BlockSelector {
  select(block: CursorBlock): Selected {
    const piece = {
      records: block.header.recordCount,
      bytes: block.length,
      memory: null,
      payloadOffset: 0,
    };
    return { records: block.header.recordCount, pieces: [piece] };
  }
}
