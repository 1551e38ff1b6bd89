/**
 * System calls that Node.js does not offer, or not synchronously on shared memory.
 *
 * Importing this loads nothing; the first call loads the native addon (MR_ADDON when it cannot).
 */
export * from './epoll.ts';
export * from './errno.ts';
export { type CallFault, failCall, type SetFault } from './faults.ts';
export * from './file.ts';
export type { LoadOptions } from './load.ts';
export { addonPaths, addonSkipReason, loadAddon, loadNativeFile, native } from './load.ts';
export * from './memory.ts';
export { NATIVE_FUNCTION_NAMES, type NativeAddon } from './native-functions.ts';
export * from './pipe.ts';
export * from './process.ts';
export * from './sockaddr.ts';
export * from './socket.ts';
export * from './uring.ts';
