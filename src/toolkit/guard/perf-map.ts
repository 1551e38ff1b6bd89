/**
 * Names of JavaScript functions from V8's perf map, where the core does not know this V8's heap.
 *
 * WHY         With PERF_MAP_FLAGS V8 appends a line for each piece of code that it makes, also for
 *             interpreted functions: the address that a report has for a frame finds its function.
 * LIMITS      Line and column are those of the function, an inlined function is not seen, and the
 *             file must outlive the process: so names are filled in afterwards, not by the handler.
 * FORMAT      `address bytes JS:*name /path/to/file.js:1:17`, numbers in hex; the mark before the
 *             name says which compiler made it. Memory is used again: the last line is right.
 */
import { readFileSync } from 'node:fs';
import type { GuardFrame, GuardFrameNote, GuardReport } from './report.ts';

interface Piece {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly note: GuardFrameNote;
}

const LINE = /^([0-9a-f]+) ([0-9a-f]+) (?:JS|Eval|Script|Function|LazyCompile):(.*)$/;
const CODE = /^o?([~^+*])'?(.*?) ?((?:\/|[a-z]+:|\[)\S.*|\S*):(\d+):(\d+)$/;
const MARKS: Readonly<Record<string, GuardFrameNote>> = {
  '~': 'interpreted',
  '^': 'baseline',
  '+': 'optimized',
  '*': 'optimized',
};

/** The perf map of a process, or '' where there is none. */
export function readPerfMap(pid: number): string {
  try {
    return readFileSync(`/tmp/perf-${pid}.map`, 'utf8');
  } catch {
    return '';
  }
}

/** The report with names for those of its frames that have none and are in the map. */
export function nameByPerfMap(report: GuardReport, map: string): GuardReport {
  if (report.names !== 'none' || map === '') return report;
  const addresses = report.frames.map((frame, index) => addressOf(frame, index));
  const pieces = findPieces(map, addresses);
  const frames = report.frames.map((frame, index) => named(frame, pieces.get(index)));
  const first = frames.findIndex(({ kind, file }) => kind === 'js' && !file.startsWith('node:'));
  const { culprit } = report;
  const isBlamed = culprit !== null && report.frames[culprit]?.module === '';
  return {
    ...report,
    names: pieces.size > 0 ? 'perf-map' : 'none',
    culprit: isBlamed && first >= 0 ? first : culprit,
    frames,
  };
}

/** 0 where there is nothing to look for. All but the innermost are return addresses. */
function addressOf({ module, function: name, pc }: GuardFrame, index: number): number {
  return module === '' && name === '' ? Number(pc) - (index > 0 ? 1 : 0) : 0;
}

function findPieces(map: string, addresses: readonly number[]): Map<number, Piece> {
  const found = new Map<number, Piece>();
  for (const text of map.split('\n')) {
    const line = LINE.exec(text);
    if (line === null) continue;
    const start = Number.parseInt(line[1]!, 16);
    const end = start + Number.parseInt(line[2]!, 16);
    for (const [index, address] of addresses.entries()) {
      if (address < start || address >= end) continue;
      const piece = pieceOf(line[3]!);
      if (piece !== null) found.set(index, piece);
    }
  }
  return found;
}

function pieceOf(text: string): Piece | null {
  const parts = CODE.exec(text);
  if (parts === null) return null;
  const [, mark = '', name = '', file = '', line = '', column = ''] = parts;
  return {
    name: name === '' ? '(anonymous)' : name,
    file: file.startsWith('file:///') ? decodeURI(file.slice('file://'.length)) : file,
    line: Number(line),
    column: Number(column),
    note: MARKS[mark] ?? 'interpreted',
  };
}

function named(frame: GuardFrame, piece: Piece | undefined): GuardFrame {
  if (piece === undefined) return frame;
  const { name, file, line, column, note } = piece;
  const notes: GuardFrameNote[] = [note, 'function-line', 'perf-map'];
  if (note === 'optimized') notes.push('may-hide-inlined');
  return { ...frame, kind: 'js', function: name, file, line, column, notes };
}
