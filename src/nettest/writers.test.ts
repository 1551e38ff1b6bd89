import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KernelProbe, PROBE_NAMES } from '../toolkit/output/index.ts';
import { requireMechanism } from './writers.ts';

/** A kernel that offers everything but the things named. */
function kernelWithout(...lacking: readonly string[]): KernelProbe {
  const items = PROBE_NAMES.map((name) => {
    const available = !lacking.includes(name);
    return [name, { available, detail: available ? 'works' : 'ENOSYS' }];
  });
  return { ...Object.fromEntries(items), kernel: '9.9' } as unknown as KernelProbe;
}

const NEEDED = [
  ['splice', 'vmsplice', 'tcp'],
  ['splice', 'spliceTcp', 'tcp'],
  ['splice', 'spliceUnix', 'unixStream'],
  ['tee', 'tee', 'tcp'],
  ['tee', 'vmsplice', 'tcp'],
  ['file', 'sendfile', 'tcp'],
  ['msgZerocopy', 'msgZerocopy', 'tcp'],
  ['uringZerocopy', 'uringZerocopy', 'tcp'],
] as const;

for (const [mechanism, lacking, kind] of NEEDED) {
  test(`${mechanism} on ${kind} is refused where the kernel lacks ${lacking}`, () => {
    requireMechanism(kernelWithout(), mechanism, { kind });
    assert.throws(
      () => {
        requireMechanism(kernelWithout(lacking), mechanism, { kind });
      },
      (error: unknown) => {
        const { code, message, remedy } = error as Record<string, string>;
        assert.equal(code, 'MR_OUTPUT_MECHANISM');
        assert.match(message!, new RegExp(`9\\.9.*${mechanism}: ${lacking}: ENOSYS`));
        assert.match(remedy!, /--mechanism copy/);
        return true;
      },
    );
  });
}

test('copy and null need nothing, splice on TCP not that of UNIX', () => {
  const bare = kernelWithout(...PROBE_NAMES);
  requireMechanism(bare, 'copy', { kind: 'tcp' });
  requireMechanism(bare, 'null', { kind: 'tcp' });
  requireMechanism(kernelWithout('spliceUnix'), 'splice', { kind: 'tcp' });
});
