/**
 * Runs veth-cells.ts between two namespaces and says what it found.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { inNamespace, makeNamespaces } from './namespaces.ts';
import { VETH_SCRIPT, type VethReport } from './veth-cells.ts';

/** The report, or in words why there is none. */
export async function runVeth(
  grid: 'sample' | 'full',
  seed: number,
  timeoutMs: number,
): Promise<VethReport | string> {
  const namespaces = makeNamespaces();
  if (typeof namespaces === 'string') return namespaces;
  try {
    const command = inNamespace(namespaces.near, VETH_SCRIPT, namespaces.far, grid, String(seed));
    const { stdout } = await promisify(execFile)('ip', command, { timeout: timeoutMs });
    return JSON.parse(stdout) as VethReport;
  } finally {
    namespaces.close();
  }
}

/** 0 corrupt pages where it is safe, some where it is not, peerQueue refused, auto careful. */
export function assertVeth(report: VethReport, seed: number): void {
  assert.deepEqual(report.corrupt, [], `seed ${seed}`);
  assert.ok(report.pieces > 0 && report.refills > 0);
  for (const [name, corrupt] of Object.entries(report.caught)) {
    assert.ok(corrupt > 0, `${name} was not caught across veth`);
  }
  assert.equal(report.peerQueueRefusal, 'MR_OUTPUT_MECHANISM');
  assert.deepEqual(report.auto, ['local', 'copy', 'copy']);
}
