/**
 * Thread names: what reports call a thread, and what it does.
 */
import { guardError } from './guard-error.ts';
import { guardNative } from './native.ts';

/**
 * Names the calling thread in reports: 31 bytes each are kept, '' leaves what is there. Without it
 * a thread has the name that the kernel knows.
 */
export function nameThread(name: string, role = ''): void {
  const native = guardNative();
  const result = native.nameThread(name, role);
  if (result < 0) throw guardError(`name the thread ${name}`, result, native.problem());
}
