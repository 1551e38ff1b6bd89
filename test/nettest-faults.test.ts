import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { alignedStride } from '../src/nettest/message-feed.ts';
import { type MakeOptions, MessageMaker } from '../src/nettest/message-maker.ts';
import type { RecvOptions, XmitOptions } from '../src/nettest/options.ts';
import { type RecvHooks, runRecv } from '../src/nettest/recv.ts';
import { runXmit } from '../src/nettest/xmit.ts';
import { MillraceError } from '../src/toolkit/base/errors.ts';
import { EMFILE, ENOMEM } from '../src/toolkit/sys/errno.ts';
import { failCall } from '../src/toolkit/sys/faults.ts';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import type { NativeFunctions } from '../src/toolkit/sys/native-functions.ts';

/**
 * One system call after the other fails once: a run ends well or with one clear error, and closes
 * what it has opened.
 */
const limits = { skip: addonSkipReason(), timeout: 240_000 };

const XMIT: Omit<XmitOptions, 'target'> = {
  messageBytes: 5000,
  packets: 8,
  seconds: 20,
  mechanism: 'auto',
  reclaim: null,
  fill: null,
  peerReceives: true,
  hasCrc: true,
  hasStamps: false,
  connections: 1,
  fanOut: 2,
  poolBytes: 65_536,
  isHuge: false,
  pinCpu: null,
  sendBufferBytes: null,
  congestion: null,
};

type Run = (signal: AbortSignal) => Promise<unknown>;

/** Sockets, pipes and the like; not what Node.js holds for itself. */
function openFds(): number {
  return readdirSync('/proc/self/fd').length;
}

/**
 * No run waits for ever; a machine with other things to do takes its time for a hundred of them.
 */
const RUN_MS_MAX = 60_000;

async function endsCleanly(run: Run): Promise<string> {
  const signal = AbortSignal.timeout(RUN_MS_MAX);
  try {
    await run(signal);
    assert.equal(signal.aborted, false, 'no run waits for ever');
    return 'fine';
  } catch (error) {
    assert.ok(error instanceof MillraceError, String(error));
    assert.notEqual(error.code, 'MR_ASSERT', error.message);
    return `${error.code}: ${error.message}`;
  }
}

const WAYS: Readonly<Record<string, Partial<XmitOptions>>> = {
  copy: { mechanism: 'copy' },
  peerQueue: { mechanism: 'splice', reclaim: { name: 'peerQueue', ringBytes: null } },
  immutable: { mechanism: 'splice', fill: 'once' },
  tee: { mechanism: 'tee' },
  file: { mechanism: 'file' },
  msgZerocopy: { mechanism: 'msgZerocopy' },
  auto: { fill: 'once' },
};

const XMIT_CALLS: readonly (keyof NativeFunctions)[] = [
  'socketCreate',
  'connect',
  'epollCreate',
  'epollControl',
  'epollWait',
  'pipeCreate',
  'setPipeCapacity',
  'pipeCapacity',
  'getsockopt',
  'setsockopt',
  'send',
  'vmsplice',
  'splice',
  'tee',
  'sendfile',
  'socketQueue',
  'madvise',
];

/** Runs once well, then once per call and number, each with one fault. */
async function withFaults(
  calls: readonly (keyof NativeFunctions)[],
  run: Run,
  settle: () => Promise<void>,
): Promise<void> {
  // What belongs to the thread (the probe, sock_diag) is made here.
  assert.equal(await endsCleanly(run), 'fine');
  await settle();
  const before = openFds();
  for (const call of calls) {
    for (const nth of [1, 2, 3]) {
      const errno = call.endsWith('Create') ? EMFILE : ENOMEM;
      const fault = failCall({ call, nth, errno });
      const answer = await endsCleanly(run).finally(() => {
        fault.restore();
      });
      await settle();
      assert.equal(openFds(), before, `${call} ${nth}: fds after ${answer}`);
      if (fault.calls < nth) break;
    }
  }
}

for (const [name, way] of Object.entries(WAYS)) {
  test(`xmit, ${name}: a fault in every call ends cleanly`, limits, async (context) => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket)).on('error', () => {});
      socket.resume();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    context.after(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const target = { kind: 'ip', host: '127.0.0.1', port } as const;
    const hooks = { onChoice() {}, onProgress() {} };
    await withFaults(
      XMIT_CALLS,
      (signal) => runXmit({ ...XMIT, ...way, target }, { ...hooks, signal }),
      async () => {
        // A connection that was closed before it was accepted comes late.
        do await sleep(2);
        while (sockets.size > 0);
      },
    );
  });
}

const RECV_CALLS: readonly (keyof NativeFunctions)[] = [
  'socketCreate',
  'setsockopt',
  'bind',
  'listen',
  'epollCreate',
  'epollControl',
  'epollWait',
  'accept4',
  'recv',
  'pipeCreate',
  'setPipeCapacity',
  'pipeCapacity',
  'splice',
  'read',
  'socketQueue',
];

for (const isPlainRecv of [true, false]) {
  const way = isPlainRecv ? 'recv' : 'splice';
  test(`recv, ${way}: a fault in every call ends cleanly`, limits, async () => {
    const open = new Set<Socket>();
    const hooks: Omit<RecvHooks, 'signal'> = {
      onListening(port) {
        if (port === 0) return;
        const socket = connect(port, '127.0.0.1');
        open.add(socket);
        socket.on('close', () => open.delete(socket)).on('error', () => {});
        socket.end(message());
      },
      onConnect() {},
      onBad(lines) {
        assert.fail(lines.join());
      },
      onProgress() {},
    };
    const options: RecvOptions = {
      target: { kind: 'ip', host: '127.0.0.1', port: 0 },
      messageBytes: MESSAGE_BYTES,
      isPlainRecv,
      reader: 'fast',
      hasCrc: true,
      hasStamps: false,
      isKeepGoing: false,
      connections: 1,
      seconds: 20,
      pinCpu: null,
      receiveBufferBytes: 65_536,
      hasAcks: false,
    };
    await withFaults(
      RECV_CALLS,
      (signal) => runRecv(options, { ...hooks, signal }),
      async () => {
        do await sleep(2);
        while (open.size > 0);
      },
    );
  });
}

const MESSAGE_BYTES = 5000;

function message(): Uint8Array {
  const bytes = new Uint8Array(alignedStride(MESSAGE_BYTES));
  const options = { messageBytes: MESSAGE_BYTES, fill: 'always', hasCrc: true, hasStamps: false };
  new MessageMaker(bytes, options as MakeOptions).make(0, 0, 0, 0);
  return bytes.subarray(0, MESSAGE_BYTES);
}
