/*
 * Millrace guard for C and C++: who writes into my memory?
 *
 * Link with -lmillrace-guard. Pages are write-protected; the processor stops whoever writes into
 * them in the act, and the report names the thread, the function, the file and the line. Calls are
 * made from ordinary code, never from a signal handler; all but mg_start may be made by any thread.
 * Every call returns a value >= 0 or -errno; mg_problem() has the sentence for the last failure of
 * this thread. Linux on x86-64.
 */
#ifndef MILLRACE_GUARD_H
#define MILLRACE_GUARD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MG_PUBLIC __attribute__((visibility("default")))

enum mg_mode {
	MG_REPORT = 0,   /* report, then die as the process would have */
	MG_CONTINUE = 1, /* report, let the write happen, go on */
	MG_DIVERT = 2,   /* report, the write goes to a scratch copy, the data stay */
	MG_THROW = 3,    /* a plain store of WebAssembly is its RuntimeError; others: MG_REPORT */
};

enum mg_flags {
	MG_ALIAS = 1,    /* MG_CONTINUE by a second mapping: no write of any thread is missed */
	MG_SYSCALLS = 2, /* writes by the kernel too (userfaultfd) */
	MG_NO_READ = 4,  /* reads are reported as well; not with MG_CONTINUE */
	MG_ONCE = 8,     /* the first write of each culprit is reported, others are counted */
};

struct mg_options {
	const char *label;  /* what the report calls it; at most 63 bytes are kept */
	enum mg_mode mode;
	unsigned flags;     /* of mg_flags */
	const char *allow;  /* or NULL: "a|b": a culprit whose function or file contains one of
			       these may write: counted, not reported; at most 127 bytes */
};

/* Where whole pages of a region lie within what was asked: bytes at the edges stay unprotected. */
struct mg_extent {
	size_t offset; /* from the address that was given */
	size_t bytes;  /* a multiple of the page size; 0 when no whole page lies inside */
};

/* Installs the handlers. First of all calls, once a process; again is harmless. */
MG_PUBLIC int mg_start(void);
/* This thread's name in reports, and an alternate stack of its own. */
MG_PUBLIC int mg_thread_enter(const char *name, const char *role);
MG_PUBLIC void mg_thread_leave(void);

/* Registers whole pages inside address .. + bytes; nothing is protected yet. A region id. */
MG_PUBLIC int mg_region(void *address, size_t bytes, const struct mg_options *options,
			struct mg_extent *extent);
/* Whole pages inside the slice; offset from the address given to mg_region. `generation` is the
   owner's own count, for the report. */
MG_PUBLIC int mg_protect(int region, size_t offset, size_t bytes, uint32_t generation);
MG_PUBLIC int mg_unprotect(int region, size_t offset, size_t bytes);
/* Unprotects, and forgets the region. */
MG_PUBLIC int mg_region_end(int region);

/* Guard pages before and after. `align_end` 1 puts the last byte before the second one; 2, 4, 8 ..
   do so as far as that alignment allows; 0 puts the first byte behind the first one. What the
   outer pages of the data have beside it is filled with a pattern that mg_free() looks at. */
MG_PUBLIC void *mg_alloc(size_t bytes, int align_end, const char *label);
/* Inaccessible from now on for a while: a later use is reported. The number of sides on which
   the pattern was broken, each of them reported. */
MG_PUBLIC int mg_free(void *memory);
/* Looks at the pattern now; the result is as mg_free's. */
MG_PUBLIC int mg_check(void *memory);

/* Hardware watchpoint on 1 .. 32 bytes in all threads of the process; a watch id. */
MG_PUBLIC int mg_watch(void *address, size_t bytes, int reads_too,
		       const struct mg_options *options);
MG_PUBLIC int mg_watch_end(int watch);

/* Reports as one line of JSON each are appended to this file as well; NULL: no more. */
MG_PUBLIC int mg_report_file(const char *path);
/* The sentence for the last failure in this thread. */
MG_PUBLIC const char *mg_problem(void);

#ifdef __cplusplus
}
#endif
#endif
