/*
 * Reports: what the guard knows of one event, and how it is written and kept.
 *
 * It decides nothing and asks nobody: whoever fills a struct mg_event has looked at the page, the
 * thread and the instruction. It uses native/inspect and knows nothing of native/guard.
 */
#ifndef MILLRACE_REPORT_H
#define MILLRACE_REPORT_H

#include "inspect.h"

#define MG_BYTES_MAX 64 /* old and new bytes in a report */

/* What lies at an address: memory of the owner's, or what closes it off. */
enum mg_region_kind { MG_KIND_VIEW, MG_KIND_GUARD_BEFORE, MG_KIND_GUARD_AFTER, MG_KIND_FREED };

/* What the owner did to a page last. */
struct mg_history {
	uint32_t generation;
	uint32_t slice_first;       /* page index and count of the mg_protect() that covered it */
	uint32_t slice_count;
	int32_t protect_tid, unprotect_tid;
	uint64_t protect_ns, unprotect_ns; /* CLOCK_REALTIME; 0: never */
};

enum mg_event_kind {
	MG_EVENT_WRITE,
	MG_EVENT_READ,
	MG_EVENT_WATCH,
	MG_EVENT_SYSCALL,
	MG_EVENT_CANARY,
};
struct mg_region; /* never looked into here */

/* All that one report says. One per thread slot, mapped beforehand. */
struct mg_event {
	enum mg_event_kind kind;
	uint64_t seq;               /* number of the report in the process, from 1 */
	uint64_t place;             /* of place.c; 0: it is not asked, or not known */
	uint64_t time_ns;           /* CLOCK_REALTIME */
	uint64_t address;
	const struct mg_region *region; /* NULL: none, and no history */
	int region_id;
	const char *label;
	enum mg_region_kind memory; /* what lies at the address */
	uint64_t edge;              /* MG_KIND_GUARD_*: where the owner's bytes end, or begin */
	struct mg_history history;
	const char *protector, *unprotector; /* names of threads, or "" */
	uint64_t offset;            /* within the bytes that were given */
	uint64_t slice_offset;      /* within the slice that was protected */
	uint32_t page_index;
	struct mg_insn insn;
	uint8_t code[16];           /* bytes of the instruction at pc */
	uint8_t old_bytes[MG_BYTES_MAX], new_bytes[MG_BYTES_MAX];
	uint32_t old_known, new_known; /* how many of them are known, from `address` on */
	uint32_t width;             /* bytes written; 0: not known */
	int32_t tid;
	char thread_name[32], thread_role[32];
	uint64_t pc, sp, fp;
	int32_t syscall_number;     /* MG_EVENT_SYSCALL: or -1 */
	uint64_t syscall_args[6];
	bool is_fatal;              /* the process dies of it */
	const char *end;            /* what happens now: "dies", "goes on", "diverted" .. */
	uint32_t frame_count;
	uint32_t culprit;           /* index into frames; frame_count: none */
	struct mg_frame frames[MG_FRAMES_MAX];
};

/* report.c */
/* Text to stderr, JSON to the file and into the ring. */
HANDLER void mg_report_write(const struct mg_event *event);
int mg_report_open(const char *path); /* the file; NULL: none. 0 or -errno */
#define MG_REPORT_BYTES 32768 /* a longer report loses its outermost frames */
/* The JSON line of report `seq` (the last 64 are kept): its length, 0: not yet, -ENOENT: gone. */
int mg_report_take(uint64_t seq, char *out, size_t bytes);
uint64_t mg_report_last(void); /* seq of the newest, 0: none */

/* seen.c: distinct culprits and how often each wrote. handler.c asks for each event that is not
   allowed, and where the region has MG_ONCE writes no report of one that was seen before. */
#define MG_SEEN_MAX 1024u
struct mg_seen {
	_Atomic uint64_t key;        /* 0: free entry */
	_Atomic uint64_t count;
	_Atomic uint32_t is_filled;  /* the rest may be read */
	uint32_t line, column;
	uint64_t module_offset;
	char label[64], function[160], file[256]; /* all empty: writes that found no entry */
};
/* `index`: of its entry, for mg_seen_again() */
HANDLER bool mg_seen_before(const struct mg_event *event, uint32_t *index);
HANDLER void mg_seen_again(uint32_t index);
const struct mg_seen *mg_seen_at(uint32_t index); /* NULL: nothing there */

#endif
