import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { EAGAIN, ENODATA } from '../sys/errno.ts';
import { addonSkipReason } from '../sys/load.ts';
import { connected, fillPattern, readExactly, STREAMS } from './connections.test-data.ts';
import { FileWriter } from './file-writer.ts';
import { fileSource } from './output-source.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 30_000 };

for (const stream of STREAMS) {
  test(`${stream}: a file that grows is sent as far as it reaches`, needsAddon, (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-output-'));
    const fileFd = openSync(join(folder, 'segment'), 'w+');
    t.after(() => {
      closeSync(fileFd);
      rmSync(folder, { recursive: true });
    });
    const { fd, peer } = connected(t, stream);
    const writer = new FileWriter(fd);
    const source = fileSource(fileFd);
    const bytes = fillPattern(new Uint8Array(30_000));
    assert.equal(writer.write(source, 0, 100), -ENODATA);
    for (const end of [10_000, 10_001, 30_000]) {
      const start = writer.counts.sentBytes;
      writeSync(fileFd, bytes, start, end - start, start);
      assert.equal(writer.write(source, start, 100_000), end - start);
      assert.equal(writer.write(source, end, 100_000), -ENODATA);
      assert.ok(Buffer.compare(readExactly(peer, end - start), bytes.subarray(start, end)) === 0);
    }
    assert.equal(writer.write(source, 1e12, 1), -ENODATA, 'far beyond the end');
    while (writer.write(source, 0, 30_000) !== -EAGAIN);
    assert.equal(writer.counts.fullCount, 1);
    assert.equal(writer.counts.copiedBytes, 0);
    writer.close();
  });
}
