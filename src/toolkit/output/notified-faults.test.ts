import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  EAGAIN,
  ECONNRESET,
  EINVAL,
  EMFILE,
  ENOBUFS,
  ENOMEM,
  ENOPROTOOPT,
  ENOSYS,
  EOPNOTSUPP,
  EPERM,
  EPIPE,
} from '../sys/errno.ts';
import { addonSkipReason, failCall } from '../sys/index.ts';
import type { NativeFunctions } from '../sys/native-functions.ts';
import { connected, openFdCount } from './connections.test-data.ts';
import { MsgZerocopyWriter } from './msg-zerocopy-writer.ts';
import type { NotifiedOptions, NotifiedWriter } from './notified-writer.ts';
import { PageStream } from './page-stream.test-data.ts';
import { closeThreadRing } from './uring-ring.ts';
import { UringZerocopyWriter } from './uring-zerocopy-writer.ts';

const BY_REFERENCE: NotifiedOptions = { copiedCallsMax: Number.POSITIVE_INFINITY };
const NTH_MAX = 4;

interface Plan {
  readonly name: string;
  readonly make: (fd: number) => NotifiedWriter;
  readonly faults: Readonly<Partial<Record<keyof NativeFunctions, readonly number[]>>>;
}

/** Everything that a writer asks the kernel, and how it may be refused. */
const PLANS: readonly Plan[] = [
  {
    name: 'msgZerocopy',
    make: (fd) => new MsgZerocopyWriter(fd, BY_REFERENCE),
    faults: {
      getsockopt: [ENOMEM],
      setsockopt: [EOPNOTSUPP, ENOPROTOOPT],
      send: [EAGAIN, ENOBUFS, ENOMEM, EPIPE, ECONNRESET],
      receiveNotifications: [ENOMEM, ECONNRESET],
    },
  },
  {
    name: 'uringZerocopy',
    make: (fd) => new UringZerocopyWriter(fd, BY_REFERENCE),
    faults: {
      getsockopt: [ENOMEM],
      uringSetup: [EPERM, ENOSYS, ENOMEM, EINVAL, EMFILE],
      mapFile: [ENOMEM, EOPNOTSUPP],
      uringPrepareSend: [EINVAL],
      uringEnter: [EAGAIN, ENOMEM, EPERM],
    },
  },
];

/** One stream with one fault; whether the fault was reached. */
function runWithFault(
  t: TestContext,
  plan: Plan,
  call: keyof NativeFunctions,
  errno: number,
  nth: number,
): boolean {
  closeThreadRing();
  const connection = connected(t, 'tcp');
  const fdCount = openFdCount();
  const fault = failCall({ call, nth, errno });
  try {
    const writer = plan.make(connection.fd);
    const stream = new PageStream(writer, { mayFail: true });
    for (let round = 0; round < 6; round += 1) {
      stream.fill();
      assert.equal(stream.wrongOfSent(connection.peer), 0);
    }
    if (stream.failed !== 0) {
      assert.equal(stream.failed, -errno);
      assert.equal(writer.flush(), -errno, 'the first errno is the last answer');
    } else {
      assert.ok(stream.acceptedBytes > 0);
    }
    if (errno === EAGAIN) assert.equal(stream.failed, 0);
    writer.close();
    stream.close();
    assert.equal(writer.flightCount, 0);
    assert.equal(stream.pool.freeCount(), stream.pool.pageCount);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    assert.equal(code, 'MR_OUTPUT_MECHANISM', message);
  } finally {
    fault.restore();
    closeThreadRing();
  }
  assert.equal(openFdCount(), fdCount, 'no fd is left open');
  connection.close();
  return fault.calls >= nth;
}

for (const plan of PLANS) {
  for (const [call, errnos] of Object.entries(plan.faults)) {
    const limits = { skip: addonSkipReason(), timeout: 60_000 };
    test(`${plan.name}: ${call} fails`, limits, (t) => {
      let reached = 0;
      for (const errno of errnos) {
        for (let nth = 1; nth <= NTH_MAX; nth += 1) {
          if (runWithFault(t, plan, call as keyof NativeFunctions, errno, nth)) reached += 1;
        }
      }
      assert.ok(reached >= errnos.length, 'the call is made at all');
    });
  }
}
