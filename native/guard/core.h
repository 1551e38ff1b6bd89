/*
 * Inside of the guard: what its files share.
 *
 * WHO RUNS WHERE  Functions marked HANDLER run in a signal handler, whatever state the process
 *                 is in: no allocation, no locks, no stdio, no dl* calls, no errno left changed;
 *                 other memory than ours is read through mg_read() alone, which cannot fault.
 *                 All else runs in ordinary code and may take the one mutex (regions.c).
 * FLOW            handler.c catches -> regions.c says whose page -> decode.c says what instruction
 *                 -> native/stack walks and names the frames -> culprit.c, report.c write
 *                 -> step.c lets the write happen, or elsewhere -> back, or to the older handler.
 */
#ifndef MILLRACE_GUARD_CORE_H
#define MILLRACE_GUARD_CORE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include "millrace-guard.h"
#include "stack.h"

#define MG_BYTES_MAX 64  /* old and new bytes in a report */
#define MG_REGIONS_MAX 65536
#define MG_THREADS_MAX 1024
#define MG_STEP_PAGES_MAX 32 /* that one instruction writes to: vscatter, 16 elements */

#ifndef TRAP_PERF
#define TRAP_PERF 6
#endif

enum mg_page_state { MG_PAGE_OPEN = 0, MG_PAGE_PROTECTED = 1, MG_PAGE_CLOSED = 2 /* no access */ };

/* What the owner did to a page last. Written under the mutex, read by handlers as it is. */
struct mg_page {
	_Atomic uint32_t state;      /* enum mg_page_state */
	uint32_t generation;
	uint32_t slice_first;        /* page index and count of the mg_protect() that covered it */
	uint32_t slice_count;
	uint64_t protect_ns;         /* CLOCK_REALTIME; 0: never */
	uint64_t unprotect_ns;
	int32_t protect_tid;
	int32_t unprotect_tid;
	_Atomic uint32_t busy;       /* claimed by a thread that changes it */
	uint32_t openers;            /* threads that step over a write to it; under the claim */
};

enum mg_region_kind { MG_KIND_VIEW, MG_KIND_GUARD_BEFORE, MG_KIND_GUARD_AFTER, MG_KIND_FREED };

struct mg_region {
	_Atomic int id;              /* epoch << 16 | slot; 0: ended */
	uint32_t epoch;
	_Atomic uint32_t users;      /* threads inside of mg_protect() and the like */
	enum mg_region_kind kind;
	enum mg_mode mode;
	unsigned flags;
	uint64_t start;              /* of the first whole page */
	uint64_t bytes;              /* whole pages */
	uint64_t given;              /* the address that mg_region() was given */
	uint64_t given_bytes;
	uint64_t alias;              /* second, writable mapping of the same pages, or 0 */
	uint64_t scratch;            /* MG_DIVERT: where writes go, then as much for copies; or 0 */
	_Atomic bool is_moving;      /* its pages are being replaced: whoever faults tries again */
	struct mg_page *pages;
	_Atomic uint64_t allowed;    /* writes that `allow` let pass */
	_Atomic uint64_t faults;
	char label[64];
	char allow[128];
};

/* One instruction that accesses memory, as decode.c knows it. Registers are gregs indices. */
struct mg_insn {
	uint8_t length;     /* 0: not known */
	uint16_t width;     /* bytes accessed at the address; 0: not known */
	bool is_write;
	bool is_atomic;     /* lock prefix or xchg */
	bool is_rep;        /* REP MOVS / STOS */
	uint8_t string_op;  /* 0, 'm' (movs), 's' (stos) */
	bool is_plain_mov;  /* a plain store of value_reg or immediate: new bytes can be told */
	bool has_immediate;
	int64_t immediate;  /* stored immediate where has_immediate */
	int8_t value_reg;   /* the stored general register, or -1 */
	int8_t vector_reg;  /* number of the plainly stored vector register, or -1 */
	uint8_t value_byte; /* first byte of the register that is stored: 1 for ah, 8 for movhps */
	bool knows_address; /* base + (index << scale) + displacement is where it accesses */
	int8_t base_reg;    /* or -1; REG_RIP: counted from the next instruction */
	int8_t index_reg;   /* or -1 */
	uint8_t scale;
	int64_t displacement;
	int8_t shift_reg;   /* base or index that has no other part in the instruction, or -1 */
	uint8_t shift_scale;
};

enum mg_event_kind {
	MG_EVENT_WRITE,
	MG_EVENT_READ,
	MG_EVENT_WATCH,
	MG_EVENT_SYSCALL,
	MG_EVENT_CANARY,
};

/* All that one report says. One per thread slot, mapped beforehand. */
struct mg_event {
	enum mg_event_kind kind;
	uint64_t seq;               /* number of the report in the process, from 1 */
	uint64_t place;             /* of place.c; 0: it is not asked, or not known */
	uint64_t time_ns;           /* CLOCK_REALTIME */
	uint64_t address;
	const struct mg_region *region; /* may be NULL for watches */
	const char *label;
	struct mg_page page;        /* copy; history */
	uint64_t offset;            /* within the bytes that were given */
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

struct mg_thread {
	_Atomic int32_t tid;        /* 0: free slot */
	char name[32], role[32];
	void *alt_stack;
	stack_t older_stack;
	uint64_t stack_start, stack_end; /* of a thread that entered: never guarded */
	uint32_t entered;           /* mg_thread_enter() less mg_thread_leave() */
	uint32_t chain;             /* an older handler of this level runs; 0: none */
	uint32_t retries;           /* of one instruction whose page is open by now */
	_Atomic uint32_t depth;     /* handlers running in this thread */
	_Atomic uint64_t entered_ns; /* CLOCK_MONOTONIC of the outermost, 0: none */
	const char *volatile stage; /* where the handler is, for a fault in itself */
	/* step.c: what to put back after the single step */
	struct {
		bool is_on, is_divert, had_trap_flag;
		bool is_late;       /* the report is written after it: new bytes are known then */
		int8_t shifted_reg; /* or -1 */
		uint8_t page_count;
		uint64_t pc, mask;  /* signals, as the kernel counts them */
		uint64_t shift;     /* added to the register */
		uint64_t moved;     /* the bytes went to event.address + this */
		struct mg_region *region;
		struct {
			struct mg_region *region;
			uint64_t index;
		} pages[MG_STEP_PAGES_MAX];
	} step;
	struct mg_windows windows; /* of its walk */
	struct mg_event event;
};

/* memory.c */
int mg_fail(int error, const char *problem); /* keeps it for mg_problem(), returns -error */
void *mg_own_map(size_t bytes); /* zeroed, for good; NULL: none. Never a region. */
bool mg_is_own(uint64_t start, uint64_t bytes);

/* regions.c */
HANDLER struct mg_region *mg_region_at(uint64_t address); /* wait-free: a radix tree of pages */
HANDLER bool mg_was_region(uint64_t address); /* or is */
struct mg_region *mg_region_of(int id);
int mg_region_make(uint64_t address, uint64_t bytes, enum mg_region_kind kind,
		   const struct mg_options *options, struct mg_extent *extent);
/* As mg_protect, to any state (MG_PAGE_CLOSED: no access at all). */
int mg_set_state(struct mg_region *region, uint64_t first_page, uint64_t count,
		 enum mg_page_state state, uint32_t generation);

/* Held while a page's state, history and protection change together; in a handler: briefly. */
HANDLER void mg_page_claim(struct mg_page *page);
HANDLER void mg_page_release(struct mg_page *page);
HANDLER bool mg_page_is_busy(struct mg_page *page);
uint32_t mg_region_count(void);
int mg_regions_start(void);
void mg_regions_lock(void);         /* around fork() */
void mg_regions_unlock(void);
void mg_regions_forked(void);       /* in the child */

/* maps.c */
int mg_check_memory(uint64_t start, uint64_t end); /* -EFAULT: cannot be guarded */
void mg_maps_forked(void);

/* threads.c */
HANDLER struct mg_thread *mg_thread_self(void); /* claims a slot for a thread that never entered */
struct mg_thread *mg_thread_slot(size_t index); /* for the watchdog */
int mg_service_start(void); /* the one service thread: watchdog once a second, userfaultfd */

int mg_threads_start(void);
void mg_threads_forked(void);
bool mg_service_runs(void);

/* chain.c: the handlers that were there before; level 0 is the default action */
#define MG_CHAIN_TOP UINT32_MAX
int mg_handlers_install(void); /* puts ours on top, again where it was */
HANDLER uint32_t mg_chain_level(struct mg_thread *thread, const void *return_address);
HANDLER void mg_chain(struct mg_thread *thread, int signal, siginfo_t *info, ucontext_t *context,
		      uint32_t level);
HANDLER void mg_set_default(int signal);
HANDLER void mg_die_by(int signal); /* returns only where the signal takes a while */

/* handler.c */
HANDLER void mg_on_signal(int signal, siginfo_t *info, void *context);
/* What an event has from the thread; and from the place that it is about. */
HANDLER void mg_event_start(struct mg_thread *thread, enum mg_event_kind kind,
			    const ucontext_t *context);
HANDLER void mg_event_place(struct mg_event *event, const struct mg_region *region,
			    uint64_t address);
/* Walks the stack (NULL: the frames are there), chooses the culprit, writes thread->event, unless
   it is allowed (then false). */
HANDLER bool mg_report_event(struct mg_thread *thread, const ucontext_t *context);
HANDLER void mg_die(struct mg_thread *thread, int signal); /* by the signal, after a report */
HANDLER void mg_publish(struct mg_thread *thread); /* writes the report of thread->event */
HANDLER _Noreturn void mg_give_up(struct mg_thread *thread, const char *why);

/* decode.c: bytes at pc, at most 15. False: not an instruction that is known. */
HANDLER bool mg_decode(const uint8_t *code, size_t available, struct mg_insn *insn);
/* step.c */
HANDLER bool mg_region_hold(struct mg_region *region); /* users + 1; false: it has ended */
HANDLER void mg_fill_bytes(struct mg_event *event, const ucontext_t *context); /* old, new, width */
/* Lets the write happen, or elsewhere: done, or prepared in the context for a single step; true:
   return from the handler now. */
HANDLER bool mg_step_over(struct mg_thread *thread, struct mg_region *region, bool is_divert,
			  ucontext_t *context);
/* SIGTRAP after the single step; false: not ours (alone). */
HANDLER bool mg_step_done(struct mg_thread *thread, const siginfo_t *info, ucontext_t *context);
/* A fault within the single step; true: another page is open for it. False: the step is undone. */
HANDLER bool mg_step_again(struct mg_thread *thread, uint64_t address, ucontext_t *context);
/* alias.c */
int mg_alias_make(struct mg_region *region);   /* before its first protect */
int mg_alias_end(struct mg_region *region);
int mg_scratch_make(struct mg_region *region);
int mg_scratch_end(struct mg_region *region);

/* report.c */
#define MG_REPORT_BYTES 32768 /* a longer report loses its outermost frames */
/* Text to stderr, JSON to the file and into the ring. */
HANDLER void mg_report_write(const struct mg_event *event);
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

/* culprit.c */
HANDLER void mg_choose_culprit(struct mg_event *event);
HANDLER bool mg_is_allowed(const struct mg_event *event);
HANDLER bool mg_has_engine(void); /* V8 is in this process */
HANDLER uint64_t mg_engine_base(void); /* of its module; 0: none */
HANDLER bool mg_is_program(const struct mg_frame *frame); /* not the engine, not a library of C */

/* The culprit is the first frame that is no machinery, which mg_place() is about. */
HANDLER bool mg_is_first_to_blame(const struct mg_event *event);
#define MG_PLACE_ALLOWED MG_SEEN_MAX /* other answers are indexes of seen.c */
HANDLER uint32_t mg_outer_machinery(const struct mg_event *event);

/* alloc.c */
/* A pattern before and behind data, which nobody may overwrite. */
struct mg_fence {
	uint64_t data, bytes;
	uint64_t before, after;     /* bytes of the pattern on each side */
	const char *label;
};
/* Writes the pattern (is_new), or looks at it: 0, or the number of broken sides, each reported. */
int mg_fence(const struct mg_fence *fence, bool is_new);
/* mg_alloc() in whole pages of somebody else: the first and the last one close. */
void *mg_alloc_in(void *map, size_t map_bytes, size_t bytes, size_t align_end, const char *label);
int mg_free_in(void *memory);   /* closes the data: no quarantine, the owner calls the next one */
void mg_forget_in(void *map, size_t map_bytes); /* opens all pages */

/* watch.c, uffd.c */
HANDLER bool mg_watch_hit(struct mg_thread *thread, const siginfo_t *info,
			  const ucontext_t *context);
HANDLER void mg_watch_stepped(struct mg_thread *thread);
HANDLER bool mg_watch_is_on(void); /* there is one */ /* thread->event's write has happened */
int mg_uffd_protect(struct mg_region *region, uint64_t start, uint64_t bytes, bool is_on);
int mg_uffd_fd(void); /* for the service thread's poll; -1: none */
void mg_uffd_serve(void);
HANDLER bool mg_uffd_signal(struct mg_thread *thread, siginfo_t *info,
			    ucontext_t *context);

#endif
