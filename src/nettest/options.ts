/**
 * Options of xmit and recv, and what of them contradicts itself.
 *
 * The defaults are those of the old programs: 4,096 bytes a message, until the connection ends.
 */
import { MillraceError } from '../toolkit/base/errors.ts';
import {
  MECHANISMS,
  type Mechanism,
  RECLAIM_NAMES,
  type ReclaimName,
} from '../toolkit/output/index.ts';
import { HEADER_BYTES, MESSAGE_BYTES_MAX } from './format.ts';
import type { Target } from './target.ts';

export const DEFAULT_MESSAGE_BYTES = 4096;
export const DEFAULT_POOL_BYTES = 16 * 1024 * 1024;

export const FILLS = ['none', 'once', 'always'] as const;
export type Fill = (typeof FILLS)[number];

export const READERS = ['fast', 'slow', 'paused'] as const;
export type Reader = (typeof READERS)[number];

export type MechanismChoice = Mechanism | 'auto';
export const MECHANISM_CHOICES: readonly MechanismChoice[] = ['auto', ...MECHANISMS];

/** A policy by name, and the bytes of the ring where it has one. */
export interface ReclaimChoice {
  readonly name: ReclaimName;
  readonly ringBytes: number | null;
}

export interface XmitOptions {
  readonly target: Target;
  readonly messageBytes: number;
  /** Messages on each connection; Infinity: until it ends, or `seconds`. */
  readonly packets: number;
  readonly seconds: number;
  readonly mechanism: MechanismChoice;
  /** null: the safe choice. */
  readonly reclaim: ReclaimChoice | null;
  /** The user states that the receiver calls recv(2): auto may go by its receive queue. */
  readonly peerReceives: boolean;
  /** null: always, where the mechanism can. */
  readonly fill: Fill | null;
  readonly hasCrc: boolean;
  readonly hasStamps: boolean;
  /** Groups that send messages of their own. */
  readonly connections: number;
  /** Connections in a group: every message of it goes to all of them. */
  readonly fanOut: number;
  readonly poolBytes: number;
  readonly isHuge: boolean;
  /** CPU, or null. */
  readonly pinCpu: number | null;
  /** SO_SNDBUF, or null: the kernel's own. */
  readonly sendBufferBytes: number | null;
  /** TCP_CONGESTION by name, or null: the kernel's own. */
  readonly congestion: string | null;
}

export interface RecvOptions {
  readonly target: Target;
  readonly messageBytes: number;
  /** False: splice socket to pipe, then read the pipe. */
  readonly isPlainRecv: boolean;
  readonly reader: Reader;
  readonly hasCrc: boolean;
  readonly hasStamps: boolean;
  readonly isKeepGoing: boolean;
  readonly connections: number;
  readonly seconds: number;
  readonly pinCpu: number | null;
  /** SO_RCVBUF, or null: the kernel's own. */
  readonly receiveBufferBytes: number | null;
  /** Sends back how many bytes were checked, for `--reclaim applicationAck`. */
  readonly hasAcks: boolean;
}

/** `NAME` or `NAME:BYTES`; bytes only for doubleBuffer. Errors: MR_USAGE. */
export function parseReclaim(text: string): ReclaimChoice {
  const [nameText = '', bytesText, ...rest] = text.split(':');
  const name = RECLAIM_NAMES.find((known) => known.toLowerCase() === nameText.toLowerCase());
  if (name === undefined || rest.length > 0) {
    refuse(`"${text}" is no reclaim policy`, `known: ${RECLAIM_NAMES.join(', ')}`);
  }
  if (bytesText === undefined) return { name, ringBytes: null };
  const ringBytes = /^\d{1,12}$/.test(bytesText) ? Number(bytesText) : 0;
  if (name !== 'doubleBuffer' || ringBytes < 1) {
    refuse(`"${text}": only doubleBuffer has a size, in bytes`, 'write doubleBuffer:262144');
  }
  return { name, ringBytes };
}

/** A mechanism by name, however it is capitalised. Errors: MR_USAGE. */
export function parseMechanism(text: string): MechanismChoice {
  const found = MECHANISM_CHOICES.find((known) => known.toLowerCase() === text.toLowerCase());
  return found ?? refuse(`"${text}" is no mechanism`, `known: ${MECHANISM_CHOICES.join(', ')}`);
}

/** Errors: MR_USAGE. */
export function checkMessageBytes(messageBytes: number): void {
  if (messageBytes >= HEADER_BYTES && messageBytes <= MESSAGE_BYTES_MAX) return;
  refuse(
    `-s ${messageBytes}: a message has ${HEADER_BYTES} to ${MESSAGE_BYTES_MAX} bytes`,
    `give -s at least ${HEADER_BYTES}: that is the header alone`,
  );
}

/** What contradicts itself. Errors: MR_USAGE. */
export function checkXmitOptions(options: XmitOptions): void {
  const { mechanism, reclaim, fill, messageBytes, poolBytes } = options;
  checkMessageBytes(messageBytes);
  if (messageBytes > poolBytes) {
    refuse(
      `-s ${messageBytes} is above the pool of ${poolBytes} bytes`,
      `give --pool at least ${Math.ceil(messageBytes / 2 ** 20)} (MiB)`,
    );
  }
  if (fill === 'always' && (mechanism === 'file' || mechanism === 'tee')) {
    refuse(
      `--mechanism ${mechanism} sends bytes that never change, --fill always changes them`,
      'leave --fill out, or give --fill once',
    );
  }
  if (reclaim === null) return;
  if (mechanism !== 'splice') {
    refuse(
      `--reclaim ${reclaim.name} belongs to --mechanism splice, found ${mechanism}`,
      `give --mechanism splice, or leave --reclaim out: ${mechanism} knows when a page is free`,
    );
  }
  if (reclaim.name === 'notification') {
    refuse(
      'splice has no notifications',
      'give --mechanism msgZerocopy or uringZerocopy, which have them, without --reclaim',
    );
  }
  if (reclaim.name === 'immutable' && fill === 'always') {
    refuse(
      'immutable pages are never filled again, --fill always fills them',
      'leave --fill out, or give --fill once',
    );
  }
}

function refuse(found: string, remedy: string): never {
  throw new MillraceError('MR_USAGE', found, remedy);
}
