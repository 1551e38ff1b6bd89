/**
 * The paused reader across a veth pair: this script runs in the near namespace, its reader in the
 * far one. Parameters: the far namespace, `sample` or `full`, a seed. Prints a VethReport as JSON.
 */
import { fileURLToPath } from 'node:url';
import { MillraceError } from '../../src/toolkit/base/errors.ts';
import { Prng } from '../../src/toolkit/base/prng.ts';
import {
  AckedBytesReclaim,
  DoubleBufferReclaim,
  openOutput,
  PeerQueueReclaim,
  type ReclaimPolicy,
  SpliceWriter,
} from '../../src/toolkit/output/index.ts';
import {
  closeFd,
  connect,
  peerName,
  SOCKADDR_BYTES_MAX,
  socketCreate,
} from '../../src/toolkit/sys/index.ts';
import { FAR_ADDRESS } from './namespaces.ts';
import { type Offer, offersOn, sampledOn } from './output-offers.ts';
import { type Buffers, setBuffers } from './output-rig.ts';
import { pause } from './output-session.ts';
import { fullGrid, pairwise } from './pairwise.ts';
import { named } from './paused-here.ts';
import { CELL_FACTORS, type Cell, runPaused } from './paused-reader.ts';
import { mappedAddress, RemoteReader } from './remote-reader.ts';

export const VETH_SCRIPT = fileURLToPath(import.meta.url);

export interface VethReport {
  readonly cells: number;
  readonly pieces: number;
  readonly refills: number;
  /** In words, one a cell that was not clean. */
  readonly corrupt: readonly string[];
  /** Corrupt pages of what must be caught. */
  readonly caught: Readonly<Record<string, number>>;
  /** Code of the error by which peerQueue is refused. */
  readonly peerQueueRefusal: string;
  /** Where auto takes the peer to be, what it picks, and that it does not find the peer's queue. */
  readonly auto: readonly string[];
}

/** A connection to the reader in the other namespace; the fd is the caller's. */
export async function connectFar(
  reader: RemoteReader,
  address: string,
  buffers: Buffers,
): Promise<number> {
  const port = await reader.listen(address, buffers.receiveBuffer);
  const fd = socketCreate(4);
  setBuffers(fd, { ...buffers, receiveBuffer: 'auto' });
  connect(fd, 4, mappedAddress(address), 0, port);
  await reader.accept();
  while (peerName(fd, new Uint8Array(SOCKADDR_BYTES_MAX)) < 0) await pause(1);
  return fd;
}

async function runCell(reader: RemoteReader, offer: Offer, cell: Cell, prng: Prng) {
  const writer = await connectFar(reader, FAR_ADDRESS, cell);
  try {
    return await runPaused(offer, cell, { writer, reader }, prng);
  } finally {
    reader.close();
    closeFd(writer);
  }
}

function unsafe(name: string, make: (fd: number) => ReclaimPolicy): Offer {
  return {
    name,
    paths: ['veth'],
    source: 'page',
    open(fd) {
      const writer = new SpliceWriter(fd, make(fd));
      return { writer, isAbandoned: true, consumed() {}, close: () => writer.close() };
    },
  };
}

const UNSAFE: readonly Offer[] = [
  unsafe('doubleBuffer', () => new DoubleBufferReclaim(256 << 10)),
  unsafe('ackedBytes', (fd) => new AckedBytesReclaim(fd, { peer: 'remote' })),
];
const UNSAFE_CELL: Cell = {
  messageBytes: 65_536,
  start: 0,
  sendBuffer: 'auto',
  receiveBuffer: 4 << 20,
};

async function runUnsafe(reader: RemoteReader, prng: Prng): Promise<Record<string, number>> {
  const caught: Record<string, number> = {};
  for (const offer of UNSAFE) {
    caught[offer.name] = 0;
    for (let run = 0; run < 3; run++) {
      caught[offer.name]! += (await runCell(reader, offer, UNSAFE_CELL, prng)).corrupt;
    }
  }
  return caught;
}

async function refusalOfPeerQueue(reader: RemoteReader): Promise<string> {
  const fd = await connectFar(reader, FAR_ADDRESS, UNSAFE_CELL);
  try {
    new PeerQueueReclaim(fd, { reader: 'recv' });
    return 'none';
  } catch (error) {
    return error instanceof MillraceError ? error.code : String(error);
  } finally {
    reader.close();
    closeFd(fd);
  }
}

async function choiceOfAuto(reader: RemoteReader): Promise<readonly string[]> {
  const fd = await connectFar(reader, FAR_ADDRESS, UNSAFE_CELL);
  const { socket, choice } = openOutput(fd);
  const stated = openOutput(fd, { peerReceives: true });
  reader.close();
  closeFd(fd);
  return [socket.place, choice.mechanism, stated.choice.mechanism];
}

async function main(far: string, isFull: boolean, prng: Prng): Promise<VethReport> {
  const reader = new RemoteReader(far);
  const offers = isFull ? offersOn('veth') : sampledOn('veth');
  const factors = { offer: offers, ...CELL_FACTORS };
  let [cells, pieces, refills] = [0, 0, 0];
  const corrupt: string[] = [];
  for (const { offer, ...cell } of isFull ? fullGrid(factors) : pairwise(factors)) {
    const where = `${offer.name} ${JSON.stringify(cell)}`;
    const result = await named(where, runCell(reader, offer, cell, prng));
    if (result.corrupt > 0) corrupt.push(`${where}: ${result.words.join('; ')}`);
    cells++;
    pieces += result.pieces;
    refills += result.refills;
  }
  const caught = await runUnsafe(reader, prng);
  const peerQueueRefusal = await refusalOfPeerQueue(reader);
  const auto = await choiceOfAuto(reader);
  reader.end();
  return { cells, pieces, refills, corrupt, caught, peerQueueRefusal, auto };
}

if (process.argv[1] === VETH_SCRIPT) {
  const [far, grid, seed] = process.argv.slice(2);
  const report = await main(far!, grid === 'full', new Prng(Number(seed)));
  process.stdout.write(JSON.stringify(report), () => process.exit(0));
}
