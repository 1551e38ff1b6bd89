/**
 * Labels: what a report calls guarded memory, when nobody said: what it is and who made it.
 */
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The core keeps 64 bytes with the zero at the end. */
const LABEL_BYTES_MAX = 63;

/** As much of it as the core keeps, cut between characters. */
export function labelText(text: string): string {
  const clean = text.replaceAll(/\p{Cc}/gu, ' ');
  if (Buffer.byteLength(clean) <= LABEL_BYTES_MAX) return clean;
  const characters = Array.from(clean);
  let kept = '';
  for (const character of characters) {
    if (Buffer.byteLength(kept + character) > LABEL_BYTES_MAX - 3) break;
    kept += character;
  }
  return `${kept}…`;
}

/** 4096 as 4 KiB, 1572864 as 1.5 MiB. */
export function sizeText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  const power = bytes < 1024 ? 0 : Math.min(3, Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** power;
  return `${Number.isInteger(amount) ? amount : amount.toFixed(1)} ${units[power]}`;
}

export interface Place {
  /** '' where the code has no file. */
  readonly path: string;
  readonly line: number;
  /** `file.js:12` */
  readonly text: string;
}

/** Of this package's own memory, as an arena, not the place that makes it is of interest. */
const TOOLKIT = new URL('../', import.meta.url).href;

/** The program's frame that called `below`, or as near to it as is known. */
export function callerOf(below: (...parameters: never[]) => unknown): Place {
  const frames = callersOf(below).filter((frame) => isProgram(nameOf(frame)));
  const frame = frames.find((one) => !nameOf(one).startsWith(TOOLKIT)) ?? frames[0];
  if (frame === undefined) return { path: '', line: 0, text: 'unknown' };
  const name = nameOf(frame);
  const path = name.startsWith('file:') ? fileURLToPath(name) : name;
  const line = frame.getLineNumber() ?? 0;
  return { path, line, text: `${basename(path)}:${line}` };
}

function nameOf(frame: NodeJS.CallSite): string {
  return frame.getFileName() ?? '';
}

function isProgram(name: string): boolean {
  return name !== '' && !name.startsWith('node:');
}

function callersOf(below: (...parameters: never[]) => unknown): readonly NodeJS.CallSite[] {
  const before: unknown = Reflect.get(Error, 'prepareStackTrace');
  const holder: { stack?: unknown } = {};
  try {
    Error.prepareStackTrace = (_, frames) => frames;
    Error.captureStackTrace(holder, below);
    // Read at once: the frames are prepared at the first look.
    return Array.isArray(holder.stack) ? (holder.stack as NodeJS.CallSite[]) : [];
  } finally {
    Reflect.set(Error, 'prepareStackTrace', before);
  }
}
