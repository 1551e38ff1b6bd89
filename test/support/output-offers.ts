/**
 * What the output part offers as safe: every mechanism with every policy that fits, opened on a
 * connected socket, and told by the reader what it has consumed.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ApplicationAckReclaim,
  CopyWriter,
  FileWriter,
  fileSource,
  ImmutableReclaim,
  MsgZerocopyWriter,
  type OutputSource,
  type OutputWriter,
  openOutput,
  type PayloadSource,
  PeerQueueReclaim,
  SpliceWriter,
  TeePayload,
  TeeWriter,
  UringZerocopyWriter,
} from '../../src/toolkit/output/index.ts';
import {
  addonSkipReason,
  checked,
  closeFd,
  openFile,
  URING_PARAMS_BYTES,
  uringSetup,
} from '../../src/toolkit/sys/index.ts';
import type { Path } from './output-rig.ts';

export type Where = Path | 'veth';

export interface OpenOffer {
  readonly writer: OutputWriter;
  /** What to write instead of the payload: a file with the same bytes. */
  readonly source?: OutputSource;
  /** Flights are given up at the end: nothing ever says that they have landed. */
  readonly isAbandoned?: true;
  /** The reader has taken so many bytes of the stream, and copied them. */
  consumed(bytes: number): void;
  close(): void;
}

export interface Offer {
  readonly name: string;
  readonly paths: readonly Where[];
  readonly source: 'page' | 'payload';
  /** `payload`: null for pages. */
  open(fd: number, payload: PayloadSource | null): OpenOffer;
}

const EVERYWHERE: readonly Where[] = ['tcp4', 'tcp6', 'unix', 'veth'];
const IP: readonly Where[] = ['tcp4', 'tcp6', 'veth'];

/** Never changes over to copies: it is the mechanism that is looked at. */
const ALWAYS = { copiedCallsMax: Number.POSITIVE_INFINITY };

function plain(writer: OutputWriter): OpenOffer {
  return { writer, consumed() {}, close: () => writer.close() };
}

function applicationAck(fd: number): OpenOffer {
  const policy = new ApplicationAckReclaim();
  const writer = new SpliceWriter(fd, policy);
  return { ...plain(writer), consumed: (bytes) => policy.acknowledge(bytes) };
}

/** What was made for a writer goes when the writer refuses. */
function orElse<T>(make: () => T, undo: () => void): T {
  try {
    return make();
  } catch (error) {
    undo();
    throw error;
  }
}

function autoAck(fd: number): OpenOffer {
  const policy = new ApplicationAckReclaim();
  const writer = openOutput(fd, { applicationAck: policy });
  return { ...plain(writer), consumed: (bytes) => policy.acknowledge(bytes) };
}

function tee(fd: number, payload: PayloadSource): OpenOffer {
  const prepared = TeePayload.fill(payload);
  const writer = orElse(
    () => new TeeWriter(fd, prepared),
    () => prepared.close(),
  );
  return {
    ...plain(writer),
    close() {
      writer.close();
      prepared.close();
    },
  };
}

/** The payload's bytes in a file that has no name. */
export function fileOf(payload: PayloadSource): number {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-file-'));
  const path = join(folder, 'payload');
  writeFileSync(path, payload.bytes.slice(payload.start, payload.start + payload.length));
  const file = checked('open', openFile(path, ['readWrite']));
  rmSync(folder, { recursive: true });
  return file;
}

function file(fd: number, payload: PayloadSource): OpenOffer {
  const content = fileOf(payload);
  const writer = orElse(
    () => new FileWriter(fd),
    () => closeFd(content),
  );
  return {
    ...plain(writer),
    source: fileSource(content),
    close() {
      writer.close();
      closeFd(content);
    },
  };
}

function page(name: string, paths: readonly Where[], make: (fd: number) => OutputWriter): Offer {
  return { name, paths, source: 'page', open: (fd) => plain(make(fd)) };
}

export const OFFERS: readonly Offer[] = [
  page('copy', EVERYWHERE, (fd) => new CopyWriter(fd)),
  page(
    'splice+peerQueue',
    ['tcp4', 'tcp6', 'unix'],
    (fd) => new SpliceWriter(fd, new PeerQueueReclaim(fd, { reader: 'recv' })),
  ),
  page(
    'splice+peerQueue uncorked',
    ['tcp4', 'unix'],
    (fd) =>
      new SpliceWriter(fd, new PeerQueueReclaim(fd, { reader: 'recv' }), {
        corkBytes: 0,
        pipeBytes: 65_536,
      }),
  ),
  { name: 'splice+applicationAck', paths: EVERYWHERE, source: 'page', open: applicationAck },
  {
    name: 'splice+immutable',
    paths: EVERYWHERE,
    source: 'payload',
    open: (fd) => plain(new SpliceWriter(fd, new ImmutableReclaim())),
  },
  { name: 'tee', paths: EVERYWHERE, source: 'payload', open: (fd, payload) => tee(fd, payload!) },
  { name: 'file', paths: EVERYWHERE, source: 'payload', open: (fd, payload) => file(fd, payload!) },
  page('msgZerocopy', IP, (fd) => new MsgZerocopyWriter(fd, ALWAYS)),
  page('msgZerocopy changing over', ['tcp4'], (fd) => new MsgZerocopyWriter(fd)),
  page('uringZerocopy', IP, (fd) => new UringZerocopyWriter(fd, ALWAYS)),
  page('auto', EVERYWHERE, (fd) => openOutput(fd)),
  page('auto peerReceives', EVERYWHERE, (fd) => openOutput(fd, { peerReceives: true })),
  { name: 'auto applicationAck', paths: EVERYWHERE, source: 'page', open: autoAck },
  {
    name: 'auto payload',
    paths: EVERYWHERE,
    source: 'payload',
    open: (fd) => plain(openOutput(fd, { payload: 'payload' })),
  },
];

/** Offers of a path that this machine can try. */
export function offersOn(where: Where): readonly Offer[] {
  return OFFERS.filter(
    ({ name, paths }) => paths.includes(where) && (name !== 'uringZerocopy' || hasUring()),
  );
}

/** What is a copy, or the same bytes as elsewhere, there: left to the full grid. */
const NOT_SAMPLED: Readonly<Partial<Record<Where, RegExp>>> = {
  tcp6: /^(copy|tee|file|splice\+immutable|auto|auto payload|auto applicationAck)$/,
  veth: /^(copy|auto|auto peerReceives|auto payload)$/,
};

/** Offers for a sample of the grid. */
export function sampledOn(where: Where): readonly Offer[] {
  const skipped = NOT_SAMPLED[where];
  return offersOn(where).filter(({ name }) => skipped?.test(name) !== true);
}

let uring: boolean | null = null;

/** Whether this machine allows io_uring: containers often do not. False without the addon. */
export function hasUring(): boolean {
  if (addonSkipReason() !== false) return false;
  if (uring === null) {
    const fd = uringSetup(1, new Uint8Array(URING_PARAMS_BYTES));
    uring = fd >= 0;
    if (uring) closeFd(fd);
  }
  return uring;
}
