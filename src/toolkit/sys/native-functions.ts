/**
 * The shape of the native addon: the one list of its functions, and the type of each.
 *
 * WHY         A test compares NATIVE_FUNCTION_NAMES with what the loaded file exports, both ways;
 *             the compiler compares it with the interface, both ways. So a function cannot be in C
 *             and not here, nor here and not in C.
 * RESULTS     Every number is a value >= 0, or -errno. Wrong arguments throw TypeError or
 *             RangeError from C. Most functions are rows of native/calls.c.
 * REFUSED     addresses as numbers (a typo corrupts memory): typed array, offset and length
 *             instead, checked in C against the true length.
 */

export interface NativeFunctions {
  epollCreate(): number;
  epollControl(
    epollFd: number,
    operation: number,
    fd: number,
    events: number,
    data: number,
  ): number;
  epollWait(epollFd: number, pairs: Int32Array, pairCount: number, timeoutMs: number): number;
  eventfdCreate(): number;
  eventfdSignal(fd: number): number;
  eventfdClear(fd: number): number;

  socketCreate(domain: number, type: number, protocol: number): number;
  bind(fd: number, sockaddr: Uint8Array, offset: number, length: number): number;
  connect(fd: number, sockaddr: Uint8Array, offset: number, length: number): number;
  listen(fd: number, backlog: number): number;
  accept4(fd: number, peer: Uint8Array, offset: number): number;
  recv(fd: number, bytes: Uint8Array, offset: number, length: number, flags: number): number;
  send(fd: number, bytes: Uint8Array, offset: number, length: number, flags: number): number;
  sendRanges(
    fd: number,
    flags: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    ranges: Int32Array,
    count: number,
  ): number;
  receiveNotifications(fd: number, triples: Int32Array, count: number): number;
  setsockopt(fd: number, option: number, value: number): number;
  getsockopt(fd: number, option: number): number;
  setsockoptBytes(
    fd: number,
    level: number,
    option: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): number;
  getsockoptBytes(
    fd: number,
    level: number,
    option: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): number;
  socketQueue(fd: number, which: number): number;
  socketName(fd: number, which: number, sockaddr: Uint8Array, offset: number): number;
  socketPair(ends: Int32Array, count: number): number;
  shutdown(fd: number, how: number): number;

  pipeCreate(ends: Int32Array, count: number): number;
  pipeCapacity(fd: number): number;
  setPipeCapacity(fd: number, bytes: number): number;
  read(fd: number, bytes: Uint8Array, offset: number, length: number): number;
  vmsplice(pipeFd: number, bytes: Uint8Array, offset: number, length: number): number;
  splice(from: number, fileOffset: number, to: number, length: number, more: number): number;
  tee(from: number, to: number, length: number): number;
  sendfile(socket: number, file: number, fileOffset: number, length: number): number;

  madvise(advice: number, bytes: Uint8Array, offset: number, length: number): number;
  mapFile(fd: number, fileOffset: number, length: number): ArrayBuffer | number;

  uringSetup(entries: number, parameters: Uint8Array, offset: number, length: number): number;
  uringPrepareSend(
    entries: Uint8Array,
    entryOffset: number,
    fd: number,
    messageFlags: number,
    userData: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): number;
  uringSignal(fd: number, eventFd: number): number;
  uringEnter(fd: number, toSubmit: number, minComplete: number, flags: number): number;

  openFile(path: string, flags: number, mode: number): number;
  closeFd(fd: number): number;
  pwrite(fd: number, bytes: Uint8Array, offset: number, length: number, fileOffset: number): number;
  pread(fd: number, bytes: Uint8Array, offset: number, length: number, fileOffset: number): number;
  preadNoWait(
    fd: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    fileOffset: number,
  ): number;
  fallocate(fd: number, keepSize: number, fileOffset: number, bytes: number): number;
  ftruncate(fd: number, bytes: number): number;
  fdatasync(fd: number): number;
  fsync(fd: number): number;
  flockExclusive(fd: number): number;
  freeBytes(fd: number): number;

  processCpuUs(): number;
  threadCpuUs(): number;
  exitNow(code: number): never;
  threadId(): number;
  setThreadName(name: string): number;
  schedSetAffinity(threadId: number, cpus: Int32Array, count: number): number;
  schedGetAffinity(threadId: number, cpus: Int32Array, count: number): number;
  currentCpu(): number;
  yieldCpu(): number;
  mbind(
    bytes: Uint8Array,
    offset: number,
    length: number,
    mode: number,
    nodes: Uint8Array,
    nodesOffset: number,
    nodesLength: number,
    flags: number,
  ): number;
}

export interface NativeAddon extends NativeFunctions {
  /** The socket options by index, as C knows them. */
  readonly socketOptionNames: readonly string[];
}

export const NATIVE_FUNCTION_NAMES = [
  'epollCreate',
  'epollControl',
  'epollWait',
  'eventfdCreate',
  'eventfdSignal',
  'eventfdClear',
  'socketCreate',
  'bind',
  'connect',
  'listen',
  'accept4',
  'recv',
  'send',
  'sendRanges',
  'receiveNotifications',
  'setsockopt',
  'getsockopt',
  'setsockoptBytes',
  'getsockoptBytes',
  'socketQueue',
  'socketName',
  'socketPair',
  'shutdown',
  'pipeCreate',
  'pipeCapacity',
  'setPipeCapacity',
  'read',
  'vmsplice',
  'splice',
  'tee',
  'sendfile',
  'madvise',
  'mapFile',
  'uringSetup',
  'uringPrepareSend',
  'uringSignal',
  'uringEnter',
  'openFile',
  'closeFd',
  'pwrite',
  'pread',
  'preadNoWait',
  'fallocate',
  'ftruncate',
  'fdatasync',
  'fsync',
  'flockExclusive',
  'freeBytes',
  'processCpuUs',
  'threadCpuUs',
  'exitNow',
  'threadId',
  'setThreadName',
  'schedSetAffinity',
  'schedGetAffinity',
  'currentCpu',
  'yieldCpu',
  'mbind',
] as const satisfies readonly (keyof NativeFunctions)[];

/** Fails to compile when the interface has a function that the list lacks. */
type Unlisted = Exclude<keyof NativeFunctions, (typeof NATIVE_FUNCTION_NAMES)[number]>;
const everyFunctionIsListed: [Unlisted] extends [never] ? true : Unlisted = true;
void everyFunctionIsListed;
