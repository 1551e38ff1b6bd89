/**
 * Report file: whether reports can be appended to it, asked before anything is started.
 *
 * The core opens MILLRACE_GUARD_REPORT while it is loaded, where it can only say that it was not
 * loaded.
 */
import { closeSync, openSync } from 'node:fs';
import { GuardError } from './guard-error.ts';

const REMEDY = 'give a file in a folder that exists, which this user may write';

/** Throws MR_GUARD_FILE. `origin` is what asked for the file. */
export function checkReportFile(path: string, origin: string): void {
  try {
    closeSync(openSync(path, 'a'));
  } catch (error) {
    throw new GuardError('MR_GUARD_FILE', `${origin}: ${(error as Error).message}`, REMEDY, {
      cause: error,
    });
  }
}
