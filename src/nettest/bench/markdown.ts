/**
 * The result as Markdown, for docs/benchmarks.md: the chart, what it can show, and every cell.
 */
import type { BenchResult, CellResult, ContestantResult } from './result.ts';
import { describePlace } from './targets.ts';

/** What a reader has to know before the figures. */
const CAVEATS = [
  'What one machine can show, and what not:',
  '',
  "* On loopback and veth the sender runs the receiver's softirq: a part of `sender` is the " +
    "receiver's TCP. On one CPU some of the sender's TCP runs when the receiver's ACK arrives, " +
    "on the receiver's account. Read both columns: the sum is what the machine pays.",
  "* The receiver's copy stays. Output by reference removes one of two copies, and the receiver " +
    "then reads what lies in the sender's memory instead of what the sender's copy had brought " +
    'into the cache.',
  '* No network card: no DMA, no checksum in hardware, no segmentation by the card. ' +
    '`msgZerocopy` and `uringZerocopy` are copied by the kernel for a receiver on the same ' +
    'machine, so that here they only cost; through a card they are what avoids the copy.',
  '* The bytes never change (policy `immutable`); filling pages, and proving that they may be ' +
    'filled again, is not in these figures.',
];

/** 65,536 bytes, a million times, in ms of system time: bytes of the article of 2011. */
const ARTICLE_GB = 65.536;
const ARTICLE = { send: [25_497, 30_100], splice: [6864, 27_746] } as const;

const SIZE_KIB = [4, 16, 64, 256, 1024] as const;

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function sizeName(kib: number): string {
  return kib === 1024 ? '1 MiB' : `${kib} KiB`;
}

/** `68 + 216 (0.62)`: sender and receiver, the sender's ratio. */
function cellText(result: ContestantResult | undefined): string {
  if (result === undefined) return '';
  const sender = result.senderUsrMs.value + result.senderSysMs.value;
  const receiver = result.receiverUsrMs.value + result.receiverSysMs.value;
  if (result.senderRatio === null) return sender.toFixed(1);
  const text = `${Math.round(sender)} + ${Math.round(receiver)}`;
  return `${text} (${result.senderRatio.value.toFixed(2)})`;
}

/** One table for each path, placement and fan-out: contestants by message size. */
function matrix(cells: readonly CellResult[], reference: string): string[] {
  const first = cells[0]!;
  const kib = SIZE_KIB.filter((size) => cells.some((cell) => cell.messageBytes === size * 1024));
  const names = [...new Set(cells.flatMap(({ results }) => results.map(({ name }) => name)))];
  const peers = first.fanOut === 1 ? 'one connection' : `${first.fanOut} connections`;
  const lines = [
    `### ${describePlace(first)}, ${peers}`,
    '',
    `CPU ms per GB, sender + receiver (sender's ratio to ${reference}):`,
    '',
    row(['', ...kib.map(sizeName)]),
    row(['---', ...kib.map(() => '---:')]),
  ];
  for (const name of names) {
    const figures = kib.map((size) => {
      const cell = cells.find(({ messageBytes }) => messageBytes === size * 1024);
      return cellText(cell?.results.find((one) => one.name === name));
    });
    lines.push(row([name, ...figures]));
  }
  const refusals = new Set(
    cells.flatMap((cell) => cell.refusals.map(({ name, reason }) => `${name}: ${reason}`)),
  );
  return [...lines, '', ...[...refusals].flatMap((text) => [`Not measured: ${text}.`, ''])];
}

/** The article's figures beside ours: 64 KiB messages, TCP, one connection, system time. */
function articleTable(cells: readonly CellResult[]): string[] {
  const own = cells.filter(
    ({ path, fanOut, messageBytes }) => path === 'tcp' && fanOut === 1 && messageBytes === 65_536,
  );
  if (own.length === 0) return [];
  const perGb = (msTotal: number): string => String(Math.round(msTotal / ARTICLE_GB));
  const lines = [
    '### Beside the article of 2011',
    '',
    'Its run: a million messages of 64 KiB over loopback. Sender: 25,497 ms of system time with ' +
      'send(), 6,864 ms with vmsplice; receiver: 30,100 and 27,746 ms. Per GB, system time:',
    '',
    row(['', 'send: sender', 'vmsplice: sender', 'ratio', 'send: receiver', 'vmsplice: receiver']),
    row(['---', '---:', '---:', '---:', '---:', '---:']),
    row([
      'article, 2011',
      perGb(ARTICLE.send[0]),
      perGb(ARTICLE.splice[0]),
      (ARTICLE.splice[0] / ARTICLE.send[0]).toFixed(2),
      perGb(ARTICLE.send[1]),
      perGb(ARTICLE.splice[1]),
    ]),
  ];
  for (const cell of own) {
    for (const [copied, spliced, title] of [
      ['c-send', 'c-splice', 'C'],
      ['copy', 'splice', 'Millrace'],
    ] as const) {
      const send = cell.results.find(({ name }) => name === copied);
      const splice = cell.results.find(({ name }) => name === spliced);
      if (send === undefined || splice === undefined) continue;
      lines.push(
        row([
          `${title}, ${describePlace(cell)}`,
          ...[send.senderSysMs.value, splice.senderSysMs.value].map((ms) => ms.toFixed(0)),
          (splice.senderSysMs.value / send.senderSysMs.value).toFixed(2),
          ...[send.receiverSysMs.value, splice.receiverSysMs.value].map((ms) => ms.toFixed(0)),
        ]),
      );
    }
  }
  return [...lines, ''];
}

/** What follows the table of targets in docs/benchmarks.md; `folder` holds the chart. */
export function benchMarkdown(result: BenchResult, folder: string): string {
  const groups = new Map<string, CellResult[]>();
  for (const cell of result.cells) {
    const key = `${cell.path} ${cell.pin} ${cell.fanOut}`;
    groups.set(key, [...(groups.get(key) ?? []), cell]);
  }
  return [
    `![CPU time to move 1 GB, by mechanism](${folder}/${result.chart})`,
    '',
    ...CAVEATS,
    '',
    ...result.notes.flatMap((note) => [note, '']),
    ...articleTable(result.cells),
    ...[...groups.values()].flatMap((cells) => matrix(cells, result.reference)),
  ].join('\n');
}
