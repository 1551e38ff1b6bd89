/**
 * Guard demo 3: an addon that was lent a Buffer writes into it after it gave it back.
 */
import { protect } from '../../toolkit/guard/index.ts';
import { guardNative } from '../../toolkit/guard/native.ts';

/** The addon of this demonstration is the guard's own: its function writes what it is told. */
const addon = guardNative();

function lendToAddon(image: Buffer, value: number): void {
  addon.scribble(image, 20_000, 16, value);
}

const image = Buffer.alloc(65_536, 0x11);
lendToAddon(image, 0x55);
protect(image, { label: 'decoded image' });
// The bug: the addon keeps the pointer, and finishes its work when nobody expects it.
lendToAddon(image, 0xaa);
