/**
 * FakeForward: reports of a forwarder that is not there, whose ledgers close.
 */
import type {
  ChannelReport,
  DestinationReport,
  ForwardReport,
} from '../../src/server/forward/report.ts';

const NOTHING_DROPPED: ChannelReport['dropped'] = {
  cut: 0,
  interrupted: 0,
  lag: 0,
  retention: 0,
  damaged: 0,
  removed: 0,
};
const RECORD_BYTES = 248;

export function fakeDestination(changes: Partial<DestinationReport> = {}): DestinationReport {
  return {
    name: 'mediation',
    host: 'mediation.example',
    port: 33_000,
    address: '192.0.2.7',
    state: 'up',
    isActive: true,
    connections: 3,
    sentBytes: 248_000_000,
    sentRecords: 1_000_000,
    ackedBytes: 247_900_000,
    unackedBytesAtLoss: 0,
    cutRecords: 0,
    breaks: 0,
    reconnects: 0,
    connectErrors: 0,
    resolveErrors: 0,
    talkedBackBytes: 0,
    mechanism: 'sendfile',
    why: 'whole blocks from the page cache',
    cpuMs: 62,
    ...changes,
  };
}

/** `received` follows from the other terms, unless it is given. */
export function fakeChannel(changes: Partial<ChannelReport> = {}): ChannelReport {
  const { name = 'mediation', pending = 400 } = changes;
  const delivered = changes.delivered ?? 999_600;
  const filtered = changes.filtered ?? 0;
  const dropped = changes.dropped ?? NOTHING_DROPPED;
  const lost = Object.values(dropped).reduce((sum, records) => sum + records, 0);
  return {
    name,
    group: null,
    mode: 'single',
    state: 'sending',
    why: '',
    received: delivered + filtered + lost + pending,
    pending,
    delivered,
    filtered,
    resent: 0,
    position: 250_000_000,
    lagRecords: pending,
    lagBytes: pending * RECORD_BYTES,
    lagMs: 12,
    destinations: [fakeDestination({ name })],
    ...changes,
    dropped,
  };
}

export function fakeDropped(changes: Partial<ChannelReport['dropped']>): ChannelReport['dropped'] {
  return { ...NOTHING_DROPPED, ...changes };
}

/** One that is down, for so long. */
export function fakeDown(name: string, lagMs = 133_000): ChannelReport {
  const why = '192.0.2.9 port 33000: ECONNREFUSED; whole blocks from the page cache';
  const changes = { state: 'waiting', connections: 0, connectErrors: 57, why } as const;
  const destination = fakeDestination({ name, ...changes });
  return fakeChannel({ name, state: 'down', pending: 70_000, lagMs, destinations: [destination] });
}

/** One that waits for its position file. */
export function fakeBlocked(name: string, errno = 'EMFILE'): ChannelReport {
  const why = `its position file cannot be opened: ${errno}; the remedy`;
  const destination = fakeDestination({ name, state: 'idle', connections: 0 });
  return fakeChannel({ name, state: 'blocked', why, destinations: [destination] });
}

/** A group of two, of which the second is active when `isSwitched`. */
export function fakePair(name: string, isSwitched: boolean): ChannelReport {
  const standby = { state: 'standby', connections: 0, isActive: false } as const;
  const destinations = [
    fakeDestination({ name: 'first', ...(isSwitched ? standby : {}) }),
    fakeDestination({ name: 'second', ...(isSwitched ? {} : standby) }),
  ];
  return fakeChannel({ name, group: name, mode: 'redundancy', destinations });
}

export function fakeForward(
  channels: readonly ChannelReport[],
  timeMs = Date.now(),
): ForwardReport {
  const reads = { coldReads: 4, catchupBytes: 4_194_304, catchupAbandoned: 0, openErrors: 0 };
  return { timeMs, generation: 0, channels, cpuMs: 310, ...reads };
}
