/**
 * Guard status: what the snapshot says of the memory-corruption guard; plain data.
 */
export const GUARD_MODES = ['off', 'report', 'continue'] as const;

export type ServerGuardMode = (typeof GUARD_MODES)[number];

export interface GuardStatus {
  readonly mode: ServerGuardMode;
  /** Writes into protected pages that were caught so far; with `report` nobody lives to see one. */
  readonly faults: number;
  /** Times that the kernel refused to protect a slice: a write into it would not be seen. */
  readonly refused: number;
  /** Where reports go besides standard error; empty: the server is not guarded. */
  readonly file: string;
}
