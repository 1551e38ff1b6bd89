/**
 * Door `millrace/sys`: the typed system calls, without the addon itself and the faults of tests.
 */
export * from './epoll.ts';
export * from './errno.ts';
export * from './file.ts';
export * from './memory.ts';
export * from './pipe.ts';
export * from './process.ts';
export * from './sockaddr.ts';
export * from './socket.ts';
export * from './uring.ts';
