/**
 * Door resolver: names for connections, asked of the main thread through the door.
 *
 * WHY        A connection hands over a callback; the door is looked at once a turn. Between the two
 *            is a list of who waits.
 */
import { addressBytes } from '../address.ts';
import type { Resolver } from './dialer.ts';
import type { Door } from './door.ts';

interface Waiting {
  readonly host: string;
  readonly onResolved: (addresses: readonly Uint8Array[], reason: string) => void;
}

export class DoorResolver implements Resolver {
  readonly #door: Pick<Door, 'resolve'>;
  #waiting: Waiting[] = [];

  constructor(door: Pick<Door, 'resolve'>) {
    this.#door = door;
  }

  resolve(host: string, onResolved: Waiting['onResolved']): void {
    if (!this.#answer({ host, onResolved })) this.#waiting.push({ host, onResolved });
  }

  /** After the door was looked at: tells those whose answer has come. */
  answer(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) if (!this.#answer(one)) this.#waiting.push(one);
  }

  #answer({ host, onResolved }: Waiting): boolean {
    const resolved = this.#door.resolve(host);
    if (resolved === null) return false;
    const addresses = resolved.addresses.flatMap((text) => addressBytes(text) ?? []);
    onResolved(addresses, resolved.error ?? '');
    return true;
  }
}
