/**
 * Forward options: what the engine is told to do, as plain data: `forward:` of the configuration
 * with its defaults filled in, its groups taken apart into channels and its words checked.
 *
 * WHY      The configuration is what people write; this is what the engine runs. Between them
 *          stands one pure function, so that `serve --check` explains what the engine will do.
 * CHANNEL  One reader of the journal with a durable position of its own. A destination outside of
 *          any group is a channel; each member of a multicast or load-balancing group is one; a
 *          redundancy group is one channel, whose stream goes to one member at a time.
 */

/** How the bytes of a destination leave: `auto` picks per run of records; see docs/reference. */
export const FORWARD_MECHANISMS = ['auto', 'sendfile', 'copy'] as const;
export type ForwardMechanism = (typeof FORWARD_MECHANISMS)[number];

/** The SCE's words for the ways of a group. */
export const FORWARDING_MODES = ['redundancy', 'multicast', 'load-balancing'] as const;
export type ForwardingMode = (typeof FORWARDING_MODES)[number];

export interface DestinationOptions {
  readonly name: string;
  /** As configured: a name or an address; resolved when it connects. */
  readonly host: string;
  readonly port: number;
  /** One connection for each exporter, or one for all. */
  readonly connections: 'per-exporter' | 'merged';
  /** Exporter's address -> the local address that its connection comes from. */
  readonly localAddressByExporter: Readonly<Record<string, string>>;
  /** After a broken connection or a kill: a gap (`none`) or doubles (`unacked`). */
  readonly resend: 'none' | 'unacked';
  readonly mechanism: ForwardMechanism;
  /** 0: no limit. */
  readonly rateBytesPerSecond: number;
  /** Small pieces wait so long for more. */
  readonly lingerMs: number;
  readonly connectTimeoutMs: number;
  /** A connection on which nothing was sent for so long is closed; 0: never. */
  readonly idleTimeoutMs: number;
  /** TCP keep-alive: idle time before the first probe; 0: off. */
  readonly keepAliveMs: number;
  /** A peer that owes an answer, and gives none for so long, ends the connection: peer-watch.ts. */
  readonly userTimeoutMs: number;
  /** SO_SNDBUF; 0: the kernel tunes it. */
  readonly sendBufferBytes: number;
  /** Back-off after a failed connect, doubled up to the maximum, with jitter. */
  readonly reconnectMsMin: number;
  readonly reconnectMsMax: number;
  /** 1 to 100, 100 the highest; counts in redundancy groups only. */
  readonly priority: number;
}

export interface ChannelOptions {
  /** Names its position file and its ledger: `mediation`, `pair`, `farm/left`. */
  readonly name: string;
  /** Name of the group, or null. */
  readonly group: string | null;
  readonly mode: ForwardingMode | 'single';
  /** One, but for redundancy: all members, by falling priority. */
  readonly destinations: readonly DestinationOptions[];
  /** Where a channel without a position begins; `last-position`: as `now`. */
  readonly from: 'now' | 'journal-start' | 'last-position';
  /** The text of the filter, categories included (`tag in (...)`); empty: every record. */
  readonly filter: string;
  /** Load-balancing only. */
  readonly balance: {
    readonly by: 'block' | 'hash';
    /** Lower-snake name of the field that is hashed, `exporter` included. */
    readonly field: string;
    /** All members, in the order of the configuration; and which of them this channel is. */
    readonly members: readonly string[];
    readonly self: number;
  } | null;
  /** Beyond these the lag is too much; 0: no limit. */
  readonly lagBytesMax: number;
  readonly lagMsMax: number;
  readonly onLag: 'drop-oldest' | 'hold';
  /** Redundancy, load-balancing: a destination that is down for so long is left. */
  readonly switchOverMs: number;
  /** And one that has been up again for so long is taken back. */
  readonly switchBackMs: number;
}

export interface ForwardOptions {
  readonly channels: readonly ChannelOptions[];
  /** Our own listening endpoints: a destination that is one of them is a loop. */
  readonly listeners: readonly { readonly host: string; readonly port: number }[];
}

/** In a drain the forwarder sends what it can for so long, then ends at record boundaries. */
export const FORWARD_DRAIN_MS = 3_000;
