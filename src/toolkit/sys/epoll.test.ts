import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  EPOLLIN,
  epollAdd,
  epollCreate,
  epollDelete,
  epollModify,
  epollWait,
  eventfdClear,
  eventfdCreate,
  eventfdSignal,
} from './epoll.ts';
import { EAGAIN, EEXIST, ENOENT } from './errno.ts';
import { closeFd } from './file.ts';
import { addonSkipReason } from './load.ts';

const needsAddon = { skip: addonSkipReason() };

test('eventfd counts signals; clearing an unsignalled one says EAGAIN', needsAddon, () => {
  const fd = eventfdCreate();
  assert.ok(fd > 2);
  assert.equal(eventfdClear(fd), -EAGAIN);
  for (let i = 0; i < 3; i += 1) assert.equal(eventfdSignal(fd), 0);
  assert.equal(eventfdClear(fd), 3);
  assert.equal(eventfdClear(fd), -EAGAIN);
  assert.equal(closeFd(fd), 0);
});

test('epoll gives back the data of the fds that are ready, and only those', needsAddon, () => {
  const epollFd = epollCreate();
  const fds = [eventfdCreate(), eventfdCreate(), eventfdCreate()];
  const pairs = new Int32Array(8).fill(-7);
  const data = [5, 0x7fff_ffff, 0];
  fds.forEach((fd, index) => {
    assert.equal(epollAdd(epollFd, fd, EPOLLIN, data[index]!), 0);
  });
  assert.equal(epollAdd(epollFd, fds[0]!, EPOLLIN, 1), -EEXIST);
  assert.equal(epollWait(epollFd, pairs, 4, 0), 0);
  eventfdSignal(fds[1]!);
  assert.equal(epollWait(epollFd, pairs, 4, 0), 1);
  assert.deepEqual([...pairs.subarray(0, 3)], [0x7fff_ffff, EPOLLIN, -7]);

  eventfdSignal(fds[0]!);
  assert.equal(epollWait(epollFd, pairs, 4, -1), 2);
  assert.deepEqual(new Set([pairs[0], pairs[2]]), new Set([5, 0x7fff_ffff]));
  assert.equal(epollWait(epollFd, pairs, 1, -1), 1, 'the count is honoured');

  assert.equal(epollModify(epollFd, fds[0]!, 0, 5), 0);
  assert.equal(epollDelete(epollFd, fds[1]!), 0);
  assert.equal(epollDelete(epollFd, fds[1]!), -ENOENT);
  assert.equal(epollWait(epollFd, pairs, 4, 0), 0);
  for (const fd of [epollFd, ...fds]) closeFd(fd);
});
