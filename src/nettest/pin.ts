/**
 * Pin: the calling thread on one CPU, as measurements need it.
 */
import { MillraceError } from '../toolkit/base/errors.ts';
import { schedGetAffinity, schedSetAffinity } from '../toolkit/sys/index.ts';

/** Errors: MR_USAGE when this process may not use that CPU. Null: nothing. */
export function pinTo(cpuIndex: number | null): void {
  if (cpuIndex === null) return;
  const allowed = schedGetAffinity();
  if (allowed.includes(cpuIndex) && schedSetAffinity(0, [cpuIndex]) >= 0) return;
  throw new MillraceError(
    'MR_USAGE',
    `there is no CPU ${cpuIndex} that this process may use`,
    `give one of ${allowed.join(', ')}`,
  );
}
