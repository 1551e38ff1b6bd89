/**
 * `rdr-decode` as a bench with rows: ns per record of the decoder alone (bench/rdr-decode.ts).
 */
import { type Bench, numberOption } from './bench.ts';
import { makeRow } from './lib/result.ts';
import { benchRdrDecode } from './rdr-decode.ts';

export const decodeBench: Bench = {
  name: 'rdr-decode',
  description: 'the decoder alone: ns of CPU per record into columns, from shared memory',
  options: [
    { name: 'seconds', argument: 'N', default: '1', help: 'seconds per case and round' },
    { name: 'rounds', argument: 'N', default: '3', help: 'rounds; the median counts' },
  ],
  run(values, progress) {
    const seconds = numberOption(values, 'seconds', 0.01);
    const rounds = numberOption(values, 'rounds', 1);
    const byName = new Map<string, number[]>();
    for (let round = 1; round <= rounds; round++) {
      progress(`round ${round} of ${rounds}`);
      for (const row of benchRdrDecode(seconds)) {
        const name = `${row.name}, ${Math.round(row.bytesPerRecord)} bytes`;
        byName.set(name, [...(byName.get(name) ?? []), row.nsPerRecord]);
      }
    }
    return Promise.resolve([...byName].map(([name, found]) => makeRow(name, found, 'ns/record')));
  },
};
