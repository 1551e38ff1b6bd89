/**
 * Datagrams: one write is one datagram by every mechanism, or none; what cannot be one is refused,
 * and the socket goes on. SCTP: a socket, or one clear sentence.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ApplicationAckReclaim,
  CopyWriter,
  ImmutableReclaim,
  MsgZerocopyWriter,
  type OutputWriter,
  openOutput,
  pageSources,
  probeKernel,
  SpliceWriter,
  UringZerocopyWriter,
} from '../src/toolkit/output/index.ts';
import type { PagePool } from '../src/toolkit/pages/index.ts';
import { addonSkipReason, closeFd, EAGAIN, EMSGSIZE } from '../src/toolkit/sys/index.ts';
import { waitReadable } from '../src/toolkit/sys/wait.test-data.ts';
import { hasUring } from './support/output-offers.ts';
import { connectDatagram, FdReader, openFds } from './support/output-rig.ts';
import { makePool, pause, refillAll, stampedPayload } from './support/output-session.ts';
import { closeThreads } from './support/peer-rig.ts';
import { StreamChecker, stampMessage } from './support/stamps.ts';

const needsAddon = { skip: addonSkipReason() };
/** 65,535 less the header of UDP and, of IPv4 alone, its own. */
const DATAGRAM_BYTES_MAX = { 4: 65_507, 6: 65_527 } as const;
/** Beyond 65,488 a datagram of IPv6 is fragmented even on loopback. */
const SIZES = [1, 100, 4095, 4096, 4097, 8192, 40_000, 61_440, 65_000, 65_507];
const STARTS = [0, 1, 4095];
const OWNER = 1;

interface Way {
  readonly writer: OutputWriter;
  readonly acknowledge?: (bytes: number) => void;
}

const WAYS: Readonly<Record<string, (fd: number) => Way>> = {
  copy: (fd) => ({ writer: new CopyWriter(fd) }),
  'splice, applicationAck': (fd) => {
    const policy = new ApplicationAckReclaim();
    const acknowledge = (bytes: number) => policy.acknowledge(bytes);
    return { writer: new SpliceWriter(fd, policy), acknowledge };
  },
  msgZerocopy: (fd) => ({ writer: new MsgZerocopyWriter(fd) }),
  uringZerocopy: (fd) => ({ writer: new UringZerocopyWriter(fd) }),
  auto: (fd) => ({ writer: openOutput(fd) }),
};

/** Writes a page as one datagram; the answer of the writer. */
function sendPage(
  pool: PagePool,
  writer: OutputWriter,
  start: number,
  size: number,
  sequence: number,
) {
  const page = pool.acquire(OWNER);
  assert.ok(page >= 0, 'a page is free');
  const source = pageSources(pool)[page]!;
  const stamp = { connection: 1, sequence, generation: pool.generation(page) };
  stampMessage(source.bytes, source.start + start, size, stamp);
  const answer = writer.write(source, start, size);
  pool.stopFilling(page);
  return { answer, stamp };
}

for (const family of [4, 6] as const) {
  for (const [name, make] of Object.entries(WAYS)) {
    const skip = name === 'uringZerocopy' && addonSkipReason() === false && !hasUring();
    test(`UDP over IPv${family}, ${name}: a write is a datagram`, {
      skip: addonSkipReason() || (skip && 'io_uring is not allowed here'),
    }, async () => {
      closeThreads();
      const fds = openFds();
      const { writer: fd, reader } = connectDatagram(family, {
        sendBuffer: 1 << 20,
        receiveBuffer: 1 << 20,
      });
      const stream = new FdReader(reader);
      const pool = makePool({ connection: 1, messageBytes: 66_000, start: 4096 }, 1 << 20);
      const { writer, acknowledge = () => {} } = make(fd);
      let [sequence, bytes] = [0, 0];
      for (const size of SIZES) {
        for (const start of STARTS) {
          const { answer, stamp } = sendPage(pool, writer, start, size, sequence++);
          assert.equal(answer, size, `${size} bytes at ${start}`);
          waitReadable(reader);
          const taken = stream.takeNow(1 << 20);
          assert.equal(taken.length, size, `${size} bytes at ${start}: the datagram`);
          const checker = new StreamChecker(size, [stamp]);
          checker.feed(taken);
          assert.equal(checker.findings.corrupt, 0, checker.findings.words.join('; '));
          bytes += size;
          acknowledge(bytes);
          writer.reclaim();
        }
      }
      for (const tooLong of [DATAGRAM_BYTES_MAX[family] + 1, 66_000]) {
        assert.equal(sendPage(pool, writer, 0, tooLong, sequence++).answer, -EMSGSIZE);
      }
      assert.equal(sendPage(pool, writer, 0, 10, sequence++).answer, 10, 'the socket goes on');
      acknowledge(bytes + 10);
      for (const end = Date.now() + 30_000; writer.flightCount > 0; await pause(1)) {
        writer.reclaim();
        assert.ok(Date.now() < end, 'flights never land');
      }
      writer.close();
      stream.close();
      closeFd(fd);
      closeThreads();
      assert.equal(openFds(), fds);
      assert.equal(refillAll(pool), pool.pageCount);
    });
  }
}

test('UDP: datagrams that nobody reads are lost, never changed', needsAddon, () => {
  const { writer: fd, reader } = connectDatagram(4, { sendBuffer: 'auto', receiveBuffer: 65_536 });
  const stream = new FdReader(reader);
  const shape = { connection: 8, messageBytes: 4096, start: 0 };
  const payload = stampedPayload(shape, 1 << 20);
  const writer = new SpliceWriter(fd, new ImmutableReclaim());
  let accepted = 0;
  for (let sequence = 0; sequence < 256; sequence++) {
    const answer = writer.write(payload, sequence * 4096, 4096);
    assert.ok(answer === 4096 || answer === -EAGAIN, String(answer));
    if (answer > 0) accepted++;
  }
  let read = 0;
  for (let taken = stream.takeNow(8192); taken.length > 0; taken = stream.takeNow(8192), read++) {
    const sequence = Buffer.from(taken).readUInt32BE(4);
    const checker = new StreamChecker(4096, [{ connection: 8, sequence, generation: 0 }]);
    checker.feed(taken);
    assert.equal(checker.findings.corrupt, 0, checker.findings.words.join('; '));
  }
  assert.ok(read > 0 && read < accepted, `${read} of ${accepted}`);
  writer.close();
  stream.close();
  closeFd(fd);
});

test('SCTP: the probe has it, or says in one sentence that the kernel has not', needsAddon, () => {
  const { available, detail } = probeKernel().sctp;
  if (!available) assert.match(detail, /SCTP|EPROTONOSUPPORT|ESOCKTNOSUPPORT/);
  assert.ok(detail.length > 5);
});
