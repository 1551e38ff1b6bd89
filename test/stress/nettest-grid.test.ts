import { test } from 'node:test';
import { addonSkipReason } from '../../src/toolkit/sys/index.ts';
import { checkWay, WAYS } from '../support/nettest-ways.ts';

/** Our xmit with our recv: every way of sending, both ways of receiving, sizes on odd borders. */
const skip = addonSkipReason();

for (const [name, words] of Object.entries(WAYS)) {
  for (const way of [['-r'], []]) {
    for (const bytes of [16, 4096, 65_536, 100_003, 1_048_577]) {
      test(`xmit ${name}, ${bytes} bytes; recv ${way.join('')}`, { skip }, async () => {
        await checkWay(words, way, bytes, Math.min(500, Math.ceil(8_000_000 / bytes)));
      });
    }
  }
}
