/**
 * Error registry: every error a person can meet has a code, and every code has one row here.
 *
 * WHY      An operator at night greps for a code, not for a sentence. The text says what was found,
 *          what is needed and what to do; the code finds the page `docs/reference/errors.md`.
 * RULES    1. A code is never reused.  2. A test compares this table with the docs page, both ways.
 *          3. Expected outcomes on the data path are return values (negative errno, counters),
 *             never exceptions.
 */

/** Process exit codes: 0 fine, 1 failed, 2 wrong usage or configuration. */
export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/**
 * code -> { exit code of the command line, one-line meaning (mirrored in docs/reference/errors.md)
 * }
 */
export const ERRORS = {
  MR_USAGE: { exit: EXIT_USAGE, meaning: 'the command line is wrong' },
  MR_CONFIG_FILE: { exit: EXIT_USAGE, meaning: 'the configuration file cannot be read or parsed' },
  MR_CONFIG_KEY: { exit: EXIT_USAGE, meaning: 'a configuration key is unknown or out of range' },
  MR_FILTER: { exit: EXIT_USAGE, meaning: 'a filter cannot be understood' },
  MR_ADDRESS: { exit: EXIT_USAGE, meaning: 'an address or HOST:PORT cannot be understood' },
  MR_FORWARD_LOOP: {
    exit: EXIT_USAGE,
    meaning: 'a destination of the forwarder is the server itself',
  },
  MR_RELOAD: {
    exit: EXIT_FAILED,
    meaning: 'a running server could not be told to reload, or refused',
  },
  MR_PORT_IN_USE: { exit: EXIT_FAILED, meaning: 'a listening port is taken by another program' },
  MR_LISTEN: { exit: EXIT_FAILED, meaning: 'a listening socket cannot be opened' },
  MR_DATA_LOCKED: { exit: EXIT_FAILED, meaning: 'another server owns the data folder' },
  MR_DATA_ACCESS: { exit: EXIT_FAILED, meaning: 'the data folder cannot be created or written' },
  MR_DISK_FULL: { exit: EXIT_FAILED, meaning: 'the disk of the data folder is full' },
  MR_ADDON: { exit: EXIT_FAILED, meaning: 'the native addon cannot be loaded' },
  MR_SYSCALL: { exit: EXIT_FAILED, meaning: 'a system call failed in a way that is not expected' },
  MR_JOURNAL_FORMAT: {
    exit: EXIT_FAILED,
    meaning: 'a file is not a journal segment of this version',
  },
  MR_JOURNAL_CORRUPT: { exit: EXIT_FAILED, meaning: 'the journal has damaged blocks' },
  MR_STORE_LOG: { exit: EXIT_FAILED, meaning: 'the commit log of the store is damaged' },
  MR_SQL: { exit: EXIT_FAILED, meaning: 'DuckDB refused a query' },
  MR_RDR_ENCODE: { exit: EXIT_FAILED, meaning: 'a record cannot be encoded as RDRv1' },
  MR_INPUT: { exit: EXIT_FAILED, meaning: 'an input file cannot be read' },
  MR_OUTPUT: { exit: EXIT_FAILED, meaning: 'an output file cannot be written' },
  MR_CONNECT: { exit: EXIT_FAILED, meaning: 'a connection to a server cannot be made or was lost' },
  MR_ARENA: { exit: EXIT_FAILED, meaning: 'the memory for pages cannot be had' },
  MR_CPU: {
    exit: EXIT_FAILED,
    meaning: 'a thread cannot be pinned to the CPUs asked for',
  },
  MR_STALE_PAGE: {
    exit: EXIT_FAILED,
    meaning: 'a page was used after it had been given back: a bug of the caller',
  },
  MR_OUTPUT_SOURCE: {
    exit: EXIT_FAILED,
    meaning: 'an output mechanism cannot send this kind of source',
  },
  MR_OUTPUT_MECHANISM: {
    exit: EXIT_FAILED,
    meaning: 'the kernel or the socket does not offer the output mechanism asked for',
  },
  MR_GUARD_CPU: { exit: EXIT_FAILED, meaning: 'the memory guard does not know this machine' },
  MR_GUARD_PAGES: { exit: EXIT_FAILED, meaning: 'no whole OS page lies inside what was given' },
  MR_GUARD_BUFFER: { exit: EXIT_FAILED, meaning: 'a buffer of this kind cannot be guarded' },
  MR_GUARD_RANGE: { exit: EXIT_FAILED, meaning: 'a slice lies outside of its guarded buffer' },
  MR_GUARD_OVERLAP: { exit: EXIT_FAILED, meaning: 'a page has a guard already' },
  MR_GUARD_ENDED: { exit: EXIT_FAILED, meaning: 'there is no such guard, or no longer' },
  MR_GUARD_MODE: {
    exit: EXIT_FAILED,
    meaning: 'a mode or an option of the guard cannot work there',
  },
  MR_GUARD_PERMISSION: {
    exit: EXIT_FAILED,
    meaning: 'this user may not watch memory by perf events or userfaultfd',
  },
  MR_GUARD_FILE: { exit: EXIT_FAILED, meaning: 'the report file of the guard cannot be opened' },
  MR_GUARD_LIMIT: { exit: EXIT_FAILED, meaning: 'no further guard or watchpoint can be had' },
  MR_GUARD_KERNEL: { exit: EXIT_FAILED, meaning: 'the kernel refused a call of the guard' },
  MR_NETTEST_CORRUPT: {
    exit: EXIT_FAILED,
    meaning: 'nettest recv got messages that are not what was sent',
  },
  MR_SINK_VERIFY: {
    exit: EXIT_FAILED,
    meaning: 'the records that a sink got are not what a simulated SCE sent',
  },
  MR_INTERRUPTED: { exit: EXIT_FAILED, meaning: 'a command was stopped before its end' },
  MR_WORKER_DIED: { exit: EXIT_FAILED, meaning: 'a worker thread ended by itself' },
  MR_HTTP_PATH: { exit: EXIT_FAILED, meaning: 'the HTTP server has nothing at this address' },
  MR_HTTP_ARGUMENT: { exit: EXIT_FAILED, meaning: 'a parameter of an HTTP request is wrong' },
  MR_HTTP_METHOD: { exit: EXIT_FAILED, meaning: 'the HTTP server answers GET only' },
  MR_HTTP_HOST: { exit: EXIT_FAILED, meaning: 'the Host header is not a name of this server' },
  MR_HTTP_CLIENTS: { exit: EXIT_FAILED, meaning: 'too many live pages are open' },
  MR_HTTP_NOT_READY: { exit: EXIT_FAILED, meaning: 'the server starts or drains' },
  MR_HTTP_TOP: { exit: EXIT_FAILED, meaning: 'a top cannot be computed now' },
  MR_HTTP_SEARCH: { exit: EXIT_FAILED, meaning: 'the journal cannot be searched now' },
  MR_HTTP_PAGE: { exit: EXIT_FAILED, meaning: 'the live page has not been built' },
  MR_HTTP_FAILED: { exit: EXIT_FAILED, meaning: 'an HTTP request failed inside the server' },
  MR_ASSERT: {
    exit: EXIT_FAILED,
    meaning: 'an invariant does not hold: a bug in Millrace, or in a program that uses its toolkit',
  },
} as const;

export type ErrorCode = keyof typeof ERRORS;

/** What was found, what is needed, what to do. `remedy` is printed on a line of its own. */
export class MillraceError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string;

  constructor(code: ErrorCode, found: string, remedy = '', options?: ErrorOptions) {
    super(found, options);
    this.name = 'MillraceError';
    this.code = code;
    this.remedy = remedy;
  }

  get exitCode(): number {
    return ERRORS[this.code].exit;
  }
}

/**
 * The two or three lines a command prints on stderr for an error; never a stack for a known code.
 */
export function describeError(error: unknown): string {
  if (error instanceof MillraceError) {
    const remedy = error.remedy === '' ? '' : `\n  ${error.remedy}`;
    return `millrace: ${error.code}: ${error.message}${remedy}`;
  }
  if (error instanceof Error) return `millrace: ${error.stack ?? error.message}`;
  return `millrace: ${String(error)}`;
}
