/*
 * Inside of the guard: what its files share.
 *
 * WHO RUNS WHERE  Functions marked HANDLER run in a signal handler, whatever state the process
 *                 is in: no allocation, no locks, no stdio, no dl* calls, no errno left changed;
 *                 other memory than ours is read through mg_read() alone, which cannot fault.
 *                 All else runs in ordinary code and may take the one mutex (regions.c).
 * FLOW            handler.c catches -> regions.c says whose page -> native/inspect says what
 *                 instruction, walks and names the frames, tells the culprit -> native/report
 *                 writes -> step.c lets the write happen, or elsewhere -> back, or to the older
 *                 handler.
 * LAYERS          This folder acts; native/report, which it fills events for, and native/inspect,
 *                 which only reads, know nothing of it.
 */
#ifndef MILLRACE_GUARD_CORE_H
#define MILLRACE_GUARD_CORE_H

#include "report.h"
#include "millrace-guard.h"

#define MG_REGIONS_MAX 65536
#define MG_THREADS_MAX 1024
#define MG_STACK_BYTES (128ul * 1024) /* of a handler's own stack */
#define MG_STEP_PAGES_MAX 32 /* that one instruction writes to: vscatter, 16 elements */

#ifndef TRAP_PERF
#define TRAP_PERF 6
#endif

enum mg_page_state { MG_PAGE_OPEN = 0, MG_PAGE_PROTECTED = 1, MG_PAGE_CLOSED = 2 /* no access */ };

struct mg_page {
	_Atomic uint32_t state;      /* enum mg_page_state */
	struct mg_history history;   /* written under the claim, read by handlers as it is */
	_Atomic uint32_t busy;       /* claimed by a thread that changes it */
	uint32_t openers;            /* threads that step over a write to it; under the claim */
};

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

struct mg_thread {
	_Atomic int32_t tid;        /* 0: free slot */
	char name[32], role[32];
	uint8_t *alt_stack, *spare_stack; /* lowest byte */
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
int mg_check_memory(uint64_t start, uint64_t end); /* -EFAULT: cannot be guarded */

/* regions.c */
HANDLER struct mg_region *mg_region_at(uint64_t address); /* wait-free: a radix tree of pages */
HANDLER bool mg_was_region(uint64_t address); /* or is */
struct mg_region *mg_region_of(int id);
int mg_region_make(uint64_t address, uint64_t bytes, enum mg_region_kind kind,
		   const struct mg_options *options, struct mg_extent *extent);
/* As mg_protect, to any state (MG_PAGE_CLOSED: no access at all). */
int mg_set_state(struct mg_region *region, uint64_t first_page, uint64_t count,
		 enum mg_page_state state, uint32_t generation);

/* What the processor lets through; no page's state changes. */
HANDLER int mg_set_access(struct mg_region *region, uint64_t start, uint64_t bytes,
			  enum mg_page_state state);

/* Held while a page's state, history and protection change together; in a handler: briefly. */
HANDLER void mg_page_claim(struct mg_page *page);
HANDLER void mg_page_release(struct mg_page *page);
HANDLER bool mg_page_is_busy(struct mg_page *page);
uint32_t mg_region_count(void);
int mg_regions_start(void);
void mg_regions_lock(void);         /* around fork() */
void mg_regions_unlock(void);
void mg_regions_forked(void);       /* in the child */

/* threads.c */
HANDLER uint8_t *mg_stack_map(void); /* above an inaccessible page; NULL: there is no room */
HANDLER struct mg_thread *mg_thread_self(void); /* claims a slot for a thread that never entered */
struct mg_thread *mg_thread_slot(size_t index); /* for the watchdog */
HANDLER const char *mg_thread_name(int32_t tid); /* "": none is known */
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
void mg_alias_end(struct mg_region *region);
int mg_scratch_make(struct mg_region *region);
void mg_scratch_end(struct mg_region *region);

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
HANDLER void mg_watch_stepped(struct mg_thread *thread); /* thread->event's write has happened */
HANDLER bool mg_watch_is_on(void); /* there is one */
int mg_uffd_protect(struct mg_region *region, uint64_t start, uint64_t bytes, bool is_on);
int mg_uffd_fd(void); /* for the service thread's poll; -1: none */
void mg_uffd_serve(void);
HANDLER bool mg_uffd_signal(struct mg_thread *thread, siginfo_t *info,
			    ucontext_t *context);

#endif
