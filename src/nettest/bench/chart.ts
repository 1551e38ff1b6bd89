/**
 * The chart: CPU time to move one GB, a bar for every mechanism, a panel for every path.
 *
 * WHY         The question is "what does it cost, and whom": so a bar is the sender's time with the
 *             receiver's behind it, and its label is the sender's figure and ratio. Ready for light
 *             and dark pages: an SVG has its own style and asks the reader's.
 */

import { type AgentMechanism, COUNTERPARTS, PATHS, type Pin } from './plan.ts';
import type { BenchResult, CellResult, ContestantResult } from './result.ts';
import { describePlace } from './targets.ts';

const TITLE = 'CPU time to move 1 GB through a socket, by mechanism';

/** From top to bottom; what was not measured is left out. */
const BARS: readonly { readonly name: string; readonly label: string }[] = [
  { name: 'node-net', label: 'node:net write' },
  { name: 'c-send', label: 'C send()' },
  { name: 'copy', label: 'copy' },
  { name: 'splice', label: 'splice' },
  { name: 'file', label: 'file' },
  { name: 'tee', label: 'tee' },
  { name: 'msgZerocopy', label: 'msgZerocopy' },
  { name: 'uringZerocopy', label: 'uringZerocopy' },
  { name: 'auto', label: 'auto' },
];

/** The message size that a row of panels shows, when it was measured. */
const ROWS = [
  { fanOut: 1, messageBytes: 65_536, title: 'one connection' },
  { fanOut: 8, messageBytes: 262_144, title: 'the same bytes to eight connections' },
] as const;

const LABEL_WIDTH = 112;
const PANEL_WIDTH = 330;
/** Of a panel: room for the label behind its longest bar. */
const VALUE_WIDTH = 92;
const BAR_HEIGHT = 16;
const BAR_STEP = 23;
const HEAD_HEIGHT = 106;
const ROW_HEAD = 58;
const ROW_FOOT = 26;
const FOOT_HEIGHT = 48;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2937 }
  .title { font-size: 20px; font-weight: 600 }
  .row { font-size: 15px; font-weight: 600 }
  .panel { font-weight: 600 }
  .soft { fill: #5b6472; font-size: 12px }
  .paper { fill: #ffffff }
  .sender { fill: #1d64d8 }
  .receiver { fill: #b9cdf0 }
  .c { stroke: #d1460b; stroke-width: 3 }
  .axis { stroke: #c3c9d2; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e9ee }
    .soft { fill: #a3acba }
    .paper { fill: #10151d }
    .sender { fill: #6aa5ff }
    .receiver { fill: #2b4674 }
    .c { stroke: #ff9b5e }
    .axis { stroke: #454e5c }
  }`;

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function text(x: number, y: number, content: string, kind = '', anchor = 'start'): string {
  const attributes = `class="${kind}" text-anchor="${anchor}"`;
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escapeText(content)}</text>`;
}

function bar(x: number, y: number, width: number, kind: string, hint: string): string {
  const title = `<title>${escapeText(hint)}</title>`;
  const place = `x="${round(x)}" y="${round(y)}" width="${round(width)}"`;
  return `<rect ${place} height="${BAR_HEIGHT}" class="${kind}">${title}</rect>`;
}

function line(x: number, top: number, bottom: number, kind: string): string {
  const [at, from, to] = [round(x), round(top), round(bottom)];
  return `<line x1="${at}" y1="${from}" x2="${at}" y2="${to}" class="${kind}"/>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

const senderOf = (one: ContestantResult): number => one.senderUsrMs.value + one.senderSysMs.value;
const receiverOf = (one: ContestantResult): number =>
  one.receiverUsrMs.value + one.receiverSysMs.value;

interface Panel {
  readonly cell: CellResult;
  readonly bars: readonly { readonly label: string; readonly result: ContestantResult }[];
}

/** The cell of a path for a row of panels: the size asked for, or else the largest. */
function pickCell(
  cells: readonly CellResult[],
  row: (typeof ROWS)[number],
  path: string,
  pin: Pin,
): CellResult | undefined {
  const fitting = cells.filter(
    (cell) => cell.path === path && cell.pin === pin && cell.fanOut === row.fanOut,
  );
  return fitting.find((cell) => cell.messageBytes === row.messageBytes) ?? fitting.at(-1);
}

function panelsOf(result: BenchResult, row: (typeof ROWS)[number]): Panel[] {
  const pin = result.cells[0]?.pin ?? 'none';
  return PATHS.flatMap((path) => {
    const cell = pickCell(result.cells, row, path, pin);
    if (cell === undefined) return [];
    const bars = BARS.flatMap(({ name, label }) => {
      const found = cell.results.find((one) => one.name === name);
      return found === undefined ? [] : [{ label, result: found }];
    });
    return [{ cell, bars }];
  });
}

/** Where the bars of a panel end: a round number above the longest. */
function axisEnd(panels: readonly Panel[]): number {
  const longest = Math.max(
    1,
    ...panels.flatMap(({ bars }) =>
      bars.map(({ result }) => senderOf(result) + receiverOf(result)),
    ),
  );
  const step = 10 ** Math.floor(Math.log10(longest));
  return Math.ceil(longest / (step / 2)) * (step / 2);
}

function drawBar(panel: Panel, index: number, x: number, y: number, scale: number): string[] {
  const { label, result } = panel.bars[index]!;
  const top = y + index * BAR_STEP;
  const sender = senderOf(result);
  const receiver = receiverOf(result);
  const end = x + (sender + receiver) * scale;
  const middle = top + BAR_HEIGHT - 3;
  const ratio = result.senderRatio === null ? '' : `, ${result.senderRatio.value.toFixed(2)}×`;
  const counterpart = COUNTERPARTS[result.name as AgentMechanism];
  const inC = panel.cell.results.find(({ name }) => name === counterpart);
  const parts = [
    text(x - 8, middle, label, '', 'end'),
    bar(x, top, sender * scale, 'sender', `${label}: sender ${Math.round(sender)} ms per GB`),
    bar(
      x + sender * scale,
      top,
      receiver * scale,
      'receiver',
      `${label}: receiver ${Math.round(receiver)} ms per GB`,
    ),
    text(end + 6, middle, `${Math.round(sender)} ms${ratio}`, 'value'),
  ];
  if (inC !== undefined && counterpart !== 'c-send') {
    parts.push(line(x + senderOf(inC) * scale, top - 2, top + BAR_HEIGHT + 2, 'c'));
  }
  return parts;
}

function drawPanel(panel: Panel, x: number, y: number, axisMs: number): string[] {
  const scale = (PANEL_WIDTH - VALUE_WIDTH) / axisMs;
  const height = panel.bars.length * BAR_STEP;
  const size = `${panel.cell.messageBytes / 1024} KiB messages`;
  const parts = [text(x, y - 12, `${describePlace(panel.cell)}, ${size}`, 'panel')];
  for (const part of [0, 0.5, 1]) {
    const at = x + part * axisMs * scale;
    parts.push(line(at, y - 4, y + height, 'axis'));
    parts.push(text(at, y + height + 14, String(Math.round(part * axisMs)), 'soft', 'middle'));
  }
  for (let index = 0; index < panel.bars.length; index++) {
    parts.push(...drawBar(panel, index, x, y, scale));
  }
  return parts;
}

function legend(y: number): string[] {
  const [first, second, third] = [16, 190, 376];
  return [
    bar(first, y - 12, 22, 'sender', 'sender'),
    text(first + 30, y + 1, "sender's CPU time"),
    bar(second, y - 12, 22, 'receiver', 'receiver'),
    text(second + 30, y + 1, "receiver's CPU time"),
    line(third + 6, y - 14, y + 6, 'c'),
    text(third + 18, y + 1, 'sender in C by the same mechanism'),
    text(16, y + 24, "label: sender's ms per GB, and × of send() in C; shorter is better", 'soft'),
  ];
}

/** A whole SVG document. */
export function drawChart(result: BenchResult): string {
  const rows = ROWS.map((row) => ({ row, panels: panelsOf(result, row) })).filter(
    ({ panels }) => panels.length > 0,
  );
  const columns = Math.max(1, ...rows.map(({ panels }) => panels.length));
  const width = Math.max(720, 16 + columns * (LABEL_WIDTH + PANEL_WIDTH + 8));
  const parts: string[] = [];
  parts.push(text(16, 34, TITLE, 'title'));
  parts.push(...legend(64));
  let y = HEAD_HEIGHT;
  for (const { row, panels } of rows) {
    const axisMs = axisEnd(panels);
    const bars = Math.max(...panels.map((panel) => panel.bars.length));
    parts.push(text(16, y + 14, `${row.title}: ms of CPU per GB`, 'row'));
    panels.forEach((panel, column) => {
      const x = 16 + LABEL_WIDTH + column * (LABEL_WIDTH + PANEL_WIDTH + 8);
      parts.push(...drawPanel(panel, x, y + ROW_HEAD, axisMs));
    });
    y += ROW_HEAD + bars * BAR_STEP + ROW_FOOT;
  }
  parts.push(text(16, y + 20, `${result.date.slice(0, 10)}, ${result.machine}`, 'soft'));
  parts.push(text(16, y + 36, `medians of ${result.rounds} rounds`, 'soft'));
  const height = y + FOOT_HEIGHT;
  const box = `viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${box} role="img">`,
    `<title>${TITLE}</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect width="${width}" height="${height}" class="paper"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}
