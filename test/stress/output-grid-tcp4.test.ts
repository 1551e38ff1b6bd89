/** Output against a reader that pauses: every cell of the grid on tcp4. */
import { testFullGrid } from '../support/full-grid.ts';

testFullGrid('tcp4');
