/**
 * A segment that is lost and sent again is read from memory again: with the safe policies its page
 * is still what it was. The control rewrites it too early, and the receiver sees that.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { accessSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { buildTestPeer } from './support/c-peer.ts';
import { inNamespace, makeNamespaces } from './support/namespaces.ts';
import { RESEND_SCRIPT, type ResendReport } from './support/resend-cells.ts';

const TIMEOUT_MS = 120_000;

/** The report, or in words why there is none. */
async function runResend(): Promise<ResendReport | string> {
  try {
    accessSync('/dev/net/tun');
  } catch {
    return 'needs /dev/net/tun';
  }
  const namespaces = makeNamespaces();
  if (typeof namespaces === 'string') return namespaces;
  try {
    const program = buildTestPeer('drop-bridge');
    if (program === null) return 'needs a C compiler';
    const { near, far } = namespaces;
    const command = inNamespace(near, RESEND_SCRIPT, near, far, program);
    const { stdout } = await promisify(execFile)('ip', command, { timeout: TIMEOUT_MS });
    return JSON.parse(stdout) as ResendReport;
  } finally {
    namespaces.close();
  }
}

test('segments that are lost and sent again', { skip: addonSkipReason() }, async (t) => {
  const report = await runResend();
  if (typeof report === 'string') {
    t.skip(report);
    return;
  }
  for (const run of [...report.clean, report.control]) {
    const { offer, pieces, corrupt, dropped, resent, refills, checksumErrors } = run;
    t.diagnostic(
      `${offer}: ${corrupt} of ${pieces} pages corrupt, ${dropped} segments dropped, ` +
        `${resent} sent again, ${refills} refills, ${checksumErrors} checksum errors`,
    );
    assert.ok(dropped > 0 && resent >= dropped, `${offer}: nothing was sent again`);
    assert.equal(checksumErrors, 0, offer);
  }
  for (const { offer, corrupt, words } of report.clean) {
    assert.equal(corrupt, 0, `${offer}: ${words.join('; ')}`);
  }
  const acked = report.clean.find(({ offer }) => offer === 'splice+ackedBytes')!;
  assert.ok(acked.refills > 100, 'pages were filled again while the stream went on');
  const { corrupt, rewritten, words } = report.control;
  assert.ok(corrupt > 0 && rewritten > 0, 'the control was not caught');
  // Segments 1 to 4 are bytes 0 to 5,791: message 0 had arrived, message 1 was in the lost one.
  assert.match(words[0]!, /^message 1 piece 0 /);
});
