/**
 * Fields: every element with data-field="a.b" shows that place of the snapshot, in the form that
 * data-as names (integer by default). A test reads these attributes to compare the page with the
 * status.
 */
import type { Snapshot } from '../../src/server/snapshot.ts';
import { setText } from './dom.ts';
import { bytes, integer, milliseconds } from './number-text.ts';

const FORMS: Readonly<Record<string, (value: number) => string>> = {
  integer,
  bytes,
  ms: milliseconds,
};

export function showFields(snapshot: Snapshot): void {
  for (const target of document.querySelectorAll<HTMLElement>('[data-field]')) {
    const value = valueAt(snapshot, target.dataset.field!);
    if (typeof value !== 'number') continue;
    setText(target, FORMS[target.dataset.as ?? 'integer']!(value));
  }
}

function valueAt(snapshot: Snapshot, path: string): unknown {
  let value: unknown = snapshot;
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}
