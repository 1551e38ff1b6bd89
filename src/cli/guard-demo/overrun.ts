/**
 * Guard demo 4: native code writes more bytes than the buffer has.
 */
import { allocGuarded } from '../../toolkit/guard/index.ts';
import { guardNative } from '../../toolkit/guard/native.ts';

const NAME_BYTES = 100;

function encodeName(target: Uint8Array, bytes: number): void {
  guardNative().scribble(target, 0, bytes, 0x41);
}

const { view } = allocGuarded(NAME_BYTES, { alignment: 1, label: 'name' });
encodeName(view, NAME_BYTES);
// The bug: room for the zero at the end was forgotten.
encodeName(view, NAME_BYTES + 1);
