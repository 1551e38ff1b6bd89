/**
 * Reload status: what became of the newest reload, for the snapshot and for `millrace reload`.
 */
export interface ReloadStatus {
  /** Wall time at which the input was read, ms since 1970; 0: never. */
  readonly timeMs: number;
  /** Reloads of this process, those that were refused included. */
  readonly count: number;
  /** False: nothing was changed. */
  readonly ok: boolean;
  /** What was changed and what was not, or why nothing was. */
  readonly text: string;
}

export const NO_RELOAD: ReloadStatus = { timeMs: 0, count: 0, ok: true, text: '' };
