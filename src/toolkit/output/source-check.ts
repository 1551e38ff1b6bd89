/**
 * What every writer asks of a source before the kernel sees it: the right kind, and a range that
 * lies inside it. Wrong kinds are the caller's mistake and throw; nothing here allocates otherwise.
 */
import { assert } from '../base/assert.ts';
import { MillraceError } from '../base/errors.ts';
import type { FileSource, MemorySource, OutputSource } from './output-source.ts';
import type { Mechanism } from './output-writer.ts';

/** The source, when it lies in memory and has the range; throws MR_OUTPUT_SOURCE for a file. */
export function requireMemory(
  mechanism: Mechanism,
  source: OutputSource,
  offset: number,
  length: number,
): MemorySource {
  if (source.kind === 'file') {
    throw sourceError(mechanism, 'file', 'use FileWriter, or read the file into memory');
  }
  assert(offset >= 0 && length > 0, 'a write has at least one byte');
  assert(offset + length <= source.length, 'a write lies inside its source');
  return source;
}

/** The source, when it is a file; throws MR_OUTPUT_SOURCE for memory. */
export function requireFile(
  mechanism: Mechanism,
  source: OutputSource,
  offset: number,
  length: number,
): FileSource {
  if (source.kind !== 'file') {
    throw sourceError(mechanism, source.kind, 'use CopyWriter or SpliceWriter');
  }
  assert(offset >= 0 && length > 0, 'a write has at least one byte');
  return source;
}

/** MR_OUTPUT_SOURCE: this mechanism cannot send this kind of source. */
export function sourceError(mechanism: Mechanism, kind: string, remedy: string): MillraceError {
  return new MillraceError(
    'MR_OUTPUT_SOURCE',
    `${mechanism} cannot send a source of kind ${kind}`,
    remedy,
  );
}
