/**
 * Forward engine rig: a journal that the test writes, the forwarder's lanes in the thread of the
 * test, which gives the turns, and lives of it that end as a killed process does.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { walkFrames } from '../../src/rdr/frame-run.ts';
import { addressBytes } from '../../src/server/address.ts';
import type { Lanes } from '../../src/server/forward/lanes.ts';
import { makeLanes } from '../../src/server/forward/make-lanes.ts';
import type { ChannelOptions } from '../../src/server/forward/options.ts';
import { Poller } from '../../src/server/forward/poller.ts';
import type { ForwardReport } from '../../src/server/forward/report.ts';
import { SegmentFiles } from '../../src/server/forward/segment-files.ts';
import { makeBlockHeader, writeBlockHeader } from '../../src/server/journal/format.ts';
import { SegmentWriter } from '../../src/server/journal/segment-writer.ts';
import { JournalShared } from '../../src/server/journal/shared.ts';
import {
  ITEM_BYTES_MAX,
  namedMix,
  RecordStream,
  SubscriberPool,
} from '../../src/simulator/index.ts';
import { monotonicMs } from '../../src/toolkit/base/clock.ts';
import { BLOCK_HEADER_BYTES } from '../../src/toolkit/base/limits.ts';
import type { Prng } from '../../src/toolkit/base/prng.ts';
import { closeFd } from '../../src/toolkit/sys/index.ts';
import { DESTINATION } from './forward-rig.ts';

/** Of its journal. */
export const ENGINE_UUID = new Uint8Array(16).fill(9);
const SEGMENT_BYTES = 256 * 1024;
const MEMBERS_CHANGED = 'the members of a load-balancing group have changed';

/** A channel with short times. */
export function channelOptions(
  name: string,
  ports: readonly number[],
  more: Partial<ChannelOptions> = {},
  destination: Partial<typeof DESTINATION> = {},
): ChannelOptions {
  return {
    name,
    group: null,
    mode: 'single',
    destinations: ports.map((port, index) => ({
      ...DESTINATION,
      reconnectMsMin: 2,
      reconnectMsMax: 20,
      name: `${name}-${index}`,
      port,
      priority: 100 - index,
      ...destination,
    })),
    from: 'journal-start',
    filter: '',
    balance: null,
    lagBytesMax: 0,
    lagMsMax: 0,
    onLag: 'hold',
    switchOverMs: 30,
    switchBackMs: 60,
    ...more,
  };
}

/** What simulated exporters sent, as the journal has it. */
export class JournalFeed {
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-engine-'));
  readonly journal = join(this.folder, 'journal');
  readonly positions = join(this.folder, 'positions');
  readonly shared = JournalShared.create();
  readonly #writer: SegmentWriter;
  readonly #streams: readonly RecordStream[];
  readonly #buffer = new Uint8Array(BLOCK_HEADER_BYTES + ITEM_BYTES_MAX + 64 * 1024);
  readonly #view = new DataView(this.#buffer.buffer);
  readonly #header = makeBlockHeader();
  readonly #run = new Int32Array(3);
  #ordinal = 0;
  #blockOrdinal = 0;

  constructor(seed: number, exporterCount: number) {
    mkdirSync(this.journal);
    mkdirSync(this.positions);
    const options = { folder: this.journal, segmentBytes: SEGMENT_BYTES, uuid: ENGINE_UUID };
    this.#writer = new SegmentWriter(options, 0, (fd) => closeFd(fd));
    this.#streams = Array.from({ length: exporterCount }, (_, connection) => {
      const mix = namedMix('default');
      const subscribers = new SubscriberPool(50);
      return new RecordStream({ seed, connection, mix, subscribers, hasMarks: true });
    });
  }

  /** One block of one exporter, of some more than `bytes`. Returns its payload's length. */
  append(exporter: number, bytes: number): number {
    const stream = this.#streams[exporter]!;
    const end = BLOCK_HEADER_BYTES + ITEM_BYTES_MAX + bytes;
    const length = stream.fill(this.#buffer, BLOCK_HEADER_BYTES, end);
    const payload = this.#buffer.subarray(BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES + length);
    walkFrames(this.#view, BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES + length, this.#run);
    const total = BLOCK_HEADER_BYTES + length;
    this.#writer.reserve(total, this.#ordinal, exporter, this.#blockOrdinal);
    const header = this.#header;
    header.exporter.set(addressBytes(`10.0.0.${exporter + 1}`)!);
    header.position = this.#writer.position;
    header.firstOrdinal = this.#ordinal;
    header.blockOrdinal = this.#blockOrdinal++;
    header.connectionId = exporter;
    header.arrivalUs = Date.now() * 1000;
    header.recordCount = this.#run[1]!;
    header.payloadLength = length;
    header.payloadCrc = crc32(payload);
    writeBlockHeader(this.#buffer, this.#view, 0, header);
    this.#writer.append(this.#buffer, 0, total);
    this.#ordinal += header.recordCount;
    this.shared.publish(this.#writer.position, this.#ordinal);
    return length;
  }

  close(): void {
    this.#writer.seal();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** One life of the forwarder. */
export class EngineLife {
  readonly lanes: Lanes;
  readonly warnings: string[] = [];
  /** Names of balanced groups, one for each change of their members. */
  readonly memberChanges: unknown[] = [];
  readonly #feed: JournalFeed;
  readonly #poller = new Poller({ nowMs: monotonicMs });

  constructor(feed: JournalFeed, channels: readonly ChannelOptions[], prng: Prng) {
    this.#feed = feed;
    this.lanes = makeLanes(
      { channels, listeners: [] },
      {
        shared: feed.shared,
        segments: new SegmentFiles(feed.journal),
        catchup: null,
        positionsFolder: feed.positions,
        journalUuid: ENGINE_UUID,
        poller: this.#poller,
        resolver: {
          resolve: (host, onResolved) => onResolved([addressBytes(host)!], ''),
        },
        isLoop: () => false,
        random: () => prng.unit(),
        warn: (text, { group }) => {
          this.warnings.push(text);
          if (text === MEMBERS_CHANGED) this.memberChanges.push(group);
        },
      },
      monotonicMs(),
    );
  }

  turn(blocks = 4): number {
    const work = this.lanes.turn(blocks, this.#feed.shared, monotonicMs());
    this.#poller.wait(0);
    return work;
  }

  get isSettled(): boolean {
    const { publishedPosition } = this.#feed.shared;
    return this.lanes.all.every(({ channel }) => {
      return channel.ledger.committed.position === publishedPosition && channel.isSettled;
    });
  }

  report(): ForwardReport['channels'] {
    return this.lanes.report(this.#feed.shared, 0).channels;
  }

  reload(channels: readonly ChannelOptions[]): void {
    this.lanes.reload({ channels, listeners: [] }, this.#feed.shared, monotonicMs());
  }

  /** As kill -9: no further turn; what the kernel has it goes on sending. */
  kill(): void {
    this.#poller.close();
  }

  drain(): void {
    this.lanes.drain(monotonicMs(), 1000);
  }

  close(): void {
    this.lanes.close(monotonicMs());
    this.#poller.close();
  }
}
