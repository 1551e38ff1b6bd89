/**
 * The ways in which xmit sends, and the check that every message arrives whole.
 */
import assert from 'node:assert/strict';
import { describePair, runPair } from './nettest-rig.ts';

/** Name -> options of xmit. */
export const WAYS: Readonly<Record<string, readonly string[]>> = {
  'the safe choice': [],
  copy: ['--mechanism', 'copy'],
  auto: ['--mechanism', 'auto'],
  'auto, filled once': ['--mechanism', 'auto', '--fill', 'once'],
  'auto, fan-out': ['--mechanism', 'auto', '--fill', 'once', '--fan-out', '3'],
  'never filled': ['--fill', 'none'],
  splice: ['--mechanism', 'splice'],
  'splice, immutable': ['--mechanism', 'splice', '--reclaim', 'immutable'],
  file: ['--mechanism', 'file'],
  tee: ['--mechanism', 'tee', '--fan-out', '3'],
  msgZerocopy: ['--mechanism', 'msgZerocopy'],
  uringZerocopy: ['--mechanism', 'uringZerocopy'],
  'two connections of their own': ['--connections', '2', '--stamp'],
  'fan-out of pages': ['--mechanism', 'copy', '--fan-out', '3', '--stamp'],
  'huge pages, a small pool': ['-n', '--huge', '--pool', '2'],
  'no checksum, stamps': ['-n', '--crc', 'off', '--stamp'],
  'a small send buffer': ['--send-buffer', '4096', '--stamp'],
  'another congestion control': ['--congestion', 'reno'],
  'one CPU': ['--pin', '0', '--mechanism', 'splice'],
};

/** What the receiver must be told for these options of xmit. */
function recvWords(words: readonly string[]): string[] {
  const value = (name: string): number => {
    const at = words.indexOf(name);
    return at < 0 ? 1 : Number(words[at + 1]);
  };
  const connections = value('--connections') * value('--fan-out');
  return [
    '--connections',
    String(connections),
    ...(words.includes('--stamp') ? ['--stamp'] : []),
    ...(words.includes('off') ? ['--crc', 'off'] : []),
    '--json',
  ];
}

/**
 * Sends `packets` messages on each connection and counts them at the receiver. A mechanism that
 * this kernel lacks must say so, which is then all that can be checked.
 */
export async function checkWay(
  words: readonly string[],
  way: readonly string[],
  bytes: number,
  packets: number,
  host = '127.0.0.1',
): Promise<void> {
  const size = `-s${bytes}`;
  const sending = [size, `-p${packets}`, '--seconds', '50', ...words];
  const pair = await runPair([size, ...way, ...recvWords(words)], sending, host);
  const { xmit, recv } = pair;
  if (xmit.code === 1 && xmit.stderr.includes('MR_OUTPUT_MECHANISM')) return;
  assert.deepEqual([xmit.code, recv.code], [0, 0], describePair(pair));
  const totals = JSON.parse(recv.stdout.toString()) as Record<string, number>;
  assert.equal(totals.corrupt, 0);
  assert.equal(totals.messages, packets * totals.connections!);
  assert.equal(totals.bytes, totals.messages! * bytes);
}
