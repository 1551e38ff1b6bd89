/** Output against a reader that pauses: every cell of the grid on unix. */
import { testFullGrid } from '../support/full-grid.ts';

testFullGrid('unix');
