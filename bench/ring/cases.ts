/**
 * The JavaScript side of `ring`: what is measured, by name. A case has its own threads, so that V8
 * compiles its loops for this case alone, as g++ does.
 */
import { BROADCAST_CASES } from './broadcast-cases.ts';
import type { RingCase } from './case.ts';
import { MPMC_CASES } from './mpmc-cases.ts';
import { PORT_CASES } from './port-cases.ts';
import { RINGBUF_CASES } from './ringbuf-cases.ts';
import { SPSC_CASES } from './spsc-cases.ts';
import { WAIT_CASES } from './wait-cases.ts';

export const CASES: Readonly<Record<string, RingCase>> = {
  ...SPSC_CASES,
  ...PORT_CASES,
  ...RINGBUF_CASES,
  ...MPMC_CASES,
  ...BROADCAST_CASES,
  ...WAIT_CASES,
};
