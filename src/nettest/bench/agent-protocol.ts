/**
 * What the bench and its two long-lived processes say to each other: one JSON line each way.
 *
 * WHY         Sender and receiver are processes of their own, so that each one's CPU time is its
 *             own; they live through the whole bench, so that neither start-up nor cold code is in
 *             the figures. A command is answered by exactly one line.
 */
import type { AgentMechanism } from './plan.ts';

/** IPv4 address and port, or the path of a UNIX socket. */
export type Target =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly file: string };

export interface ListenCommand {
  readonly command: 'listen';
  /** Port 0: the kernel picks one, the answer says which. */
  readonly target: Target;
}

export interface ReceiveCommand {
  readonly command: 'receive';
  readonly target: Target;
  readonly connections: number;
  readonly bufferBytes: number;
  /** -1: any. */
  readonly cpu: number;
}

export interface SendCommand {
  readonly command: 'send';
  readonly target: Target;
  readonly mechanism: AgentMechanism;
  readonly messageBytes: number;
  readonly fanOut: number;
  readonly seconds: number;
  readonly cpu: number;
  /** Congestion control of TCP sockets; empty: as the machine has it. */
  readonly congestion: string;
  /** The file of the pool. */
  readonly file: string;
}

export type Command = ListenCommand | ReceiveCommand | SendCommand;

/** Microseconds of CPU time over the transfer alone; receiver: from accept to the last end. */
export interface Transfer {
  readonly bytes: number;
  readonly usrUs: number;
  readonly sysUs: number;
  readonly seconds: number;
  /** For people: what a writer did otherwise than asked (copied, degraded). */
  readonly note?: string;
}

export interface Listening {
  readonly port: number;
}

/** `notOffered`: the kernel or the socket has no such mechanism: no failure of the bench. */
export type Reply<Value> =
  | { readonly state: 'done'; readonly value: Value }
  | { readonly state: 'notOffered' | 'failed'; readonly message: string };

/** Memory (and file) that all contestants send from; twice an L2, one huge page. */
export const POOL_BYTES = 2 * 1024 * 1024;
/** What the receiver reads into. */
export const RECEIVE_BYTES = 65_536;
