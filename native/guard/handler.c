/*
 * The signal handler: whose fault it is, who reports it, and how the thread goes on or dies.
 *
 * SIGNALS     SIGSEGV, SIGBUS, SIGTRAP. All other signals but the synchronous ones are held back
 *             while it runs (a profiler's tick waits), these are not (SA_NODEFER): a fault of the
 *             handler itself enters it again at depth 1, says where it was, and dies.
 * DYING       In the mode `report` the older handler has its turn, then SIG_DFL is set and the
 *             instruction faults again: exit by SIGSEGV and a core dump at the culprit. A second
 *             thread that faults writes its report too, and waits for the end that the first one
 *             brings. Reports are written by one thread at a time.
 * THROW       V8 turns faults of plain WebAssembly stores into its RuntimeError, by a function that
 *             Node.js exports. Whatever it does not take ends as in `report`.
 * RACES       A page that another thread opens or closes just now: the instruction is tried again.
 * REFUSED     a lock around the whole handler (a thread that hangs would take all others along).
 */
#include "core.h"
#include "format.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RETRIES_MAX 1000
#define WRITER_WAIT_MS 1000
#define DEATH_WAIT_MS 10000 /* core dumps take time */
#define ERROR_WRITE 2 /* page-fault error code: it was a write */
#define ERROR_FETCH 16
#define PLACE_ALLOWED MG_SEEN_MAX /* other answers are indexes of seen.c */

static _Atomic int32_t dying_tid, writer_tid;
static _Atomic uint64_t reports;
static pthread_mutex_t start_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool is_started;

static void pause_ms(long ms)
{
	struct timespec time = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

_Noreturn void mg_give_up(struct mg_thread *thread, const char *why)
{
	static _Atomic bool is_given_up;
	const struct mg_event *event = &thread->event;
	char text[512];
	struct mg_out out = {text, text + sizeof text, false, false};

	if (!atomic_exchange(&is_given_up, true)) {
		mg_say(&out, "millrace guard: %s; thread %d, while %s, of the fault at %X (pc %X)", why,
		       atomic_load(&thread->tid), thread->stage ? thread->stage : "starting",
		       event->address, event->pc);
		mg_say(&out, event->label ? " in %s\n" : "\n", event->label);
		/* Into a pipe that nobody reads: then the end comes without these words. */
		if (poll(&(struct pollfd){2, POLLOUT, 0}, 1, WRITER_WAIT_MS) > 0 &&
		    write(2, text, (size_t)(out.at - text)) < 0)
			out.at = text;
	}
	/* The watchdog's thread ends the one that hangs, all others themselves. */
	mg_set_default(SIGSEGV);
	if (atomic_load(&thread->tid) != mg_tid()) {
		syscall(SYS_tgkill, getpid(), atomic_load(&thread->tid), SIGSEGV);
		pause_ms(1000);
	}
	mg_die_by(SIGSEGV);
	for (;;)
		syscall(SYS_kill, getpid(), SIGKILL);
}

static void walk(struct mg_thread *thread, const ucontext_t *context)
{
	struct mg_event *event = &thread->event;

	thread->stage = "walking the stack";
	mg_windows_use(&thread->windows);
	event->frame_count = mg_unwind(context, event->frames, MG_FRAMES_MAX);
	thread->stage = "choosing the culprit";
	event->culprit = event->frame_count;
	if (event->kind != MG_EVENT_CANARY) /* this stack only found the damage */
		event->culprit = mg_culprit(event->frames, event->frame_count);
	mg_windows_use(NULL);
}

/* One at a time, so that texts do not mix. Who waits too long for the other writes all the same. */
void mg_publish(struct mg_thread *thread)
{
	int32_t tid = mg_tid(), holder = 1;

	thread->stage = "waiting for another report's end";
	for (int ms = 0; holder != 0 && ms < WRITER_WAIT_MS; ms++) {
		holder = 0;
		if (!atomic_compare_exchange_strong(&writer_tid, &holder, tid))
			pause_ms(1);
	}
	thread->stage = "writing the report";
	thread->event.seq = atomic_fetch_add(&reports, 1) + 1;
	thread->event.protector = mg_thread_name(thread->event.history.protect_tid);
	thread->event.unprotector = mg_thread_name(thread->event.history.unprotect_tid);
	/* The reader of a pipe may take its time: that is no hang of ours. */
	atomic_store(&thread->entered_ns, 0);
	mg_report_write(&thread->event);
	atomic_store(&thread->entered_ns, mg_now_ns(false));
	if (holder == 0)
		atomic_store(&writer_tid, 0);
}

/* Counts it; whether a report is to be written: not where once a culprit is enough. */
static bool is_wanted(const struct mg_event *event)
{
	struct mg_region *region = (struct mg_region *)event->region;
	uint32_t index;
	bool is_seen = mg_seen_before(event, &index);

	if (region != NULL)
		atomic_fetch_add(&region->faults, 1);
	if (mg_is_first_to_blame(event->frames, event->frame_count, event->culprit))
		mg_place_keep(event->place, index);
	return !is_seen || event->is_fatal || region == NULL || !(region->flags & MG_ONCE);
}

/* Its region lets this culprit write. */
static bool is_allowed(const struct mg_event *event)
{
	return event->region != NULL && event->culprit < event->frame_count &&
	       mg_frame_has(&event->frames[event->culprit], event->region->allow);
}

bool mg_report_event(struct mg_thread *thread, const ucontext_t *context)
{
	const struct mg_event *event = &thread->event;

	if (context != NULL)
		walk(thread, context);
	if (is_allowed(event)) {
		atomic_fetch_add(&((struct mg_region *)event->region)->allowed, 1);
		return false;
	}
	if (is_wanted(event))
		mg_publish(thread);
	return true;
}

/* Its own report is written; another thread's death takes this one along, if it comes. */
static void wait_for_turn(struct mg_thread *thread)
{
	int32_t tid = mg_tid(), first = 0;

	atomic_store(&thread->entered_ns, 0);
	if (!atomic_compare_exchange_strong(&dying_tid, &first, tid) && first != tid)
		pause_ms(DEATH_WAIT_MS);
}

void mg_event_start(struct mg_thread *thread, enum mg_event_kind kind, const ucontext_t *context)
{
	const greg_t *registers = context->uc_mcontext.gregs;
	struct mg_event *event = &thread->event;

	memset(event, 0, offsetof(struct mg_event, frames));
	event->kind = kind;
	event->time_ns = mg_now_ns(true);
	event->tid = atomic_load(&thread->tid);
	memcpy(event->thread_name, thread->name, sizeof(event->thread_name));
	memcpy(event->thread_role, thread->role, sizeof(event->thread_role));
	event->pc = (uint64_t)registers[REG_RIP];
	event->sp = (uint64_t)registers[REG_RSP];
	event->fp = (uint64_t)registers[REG_RBP];
	event->syscall_number = -1;
}

void mg_event_place(struct mg_event *event, const struct mg_region *region, uint64_t address)
{
	uint64_t given_end = region->given + region->given_bytes;

	event->address = address;
	event->region = region;
	event->region_id = atomic_load(&region->id);
	event->label = region->label;
	event->memory = region->kind;
	event->page_index = (uint32_t)((address - region->start) / MG_PAGE);
	event->history = region->pages[event->page_index].history;
	event->offset = address - region->given;
	event->slice_offset = address - region->start - event->history.slice_first * MG_PAGE;
	if (region->kind == MG_KIND_GUARD_AFTER)
		event->edge = region->given < region->start ? given_end : region->start;
	if (region->kind == MG_KIND_GUARD_BEFORE)
		event->edge = region->given > region->start ? region->given : region->start + region->bytes;
}

static void fill_event(struct mg_thread *thread, struct mg_region *region, uint64_t address,
		       const ucontext_t *context)
{
	bool is_write = context->uc_mcontext.gregs[REG_ERR] & ERROR_WRITE;
	struct mg_event *event = &thread->event;

	mg_event_start(thread, is_write ? MG_EVENT_WRITE : MG_EVENT_READ, context);
	mg_event_place(event, region, address);
	thread->stage = "reading the instruction";
	mg_decode_at(event->pc, event->code, &event->insn);
}

/* V8's own: a plain store of WebAssembly goes on at its landing pad, which throws. */
extern bool try_trap(int signal, siginfo_t *info, void *context)
	__asm__("_ZN2v829TryHandleWebAssemblyTrapPosixEiP9siginfo_tPv") __attribute__((weak));

/* The write is let through after its report. */
static bool goes_on(const struct mg_region *region)
{
	return region->mode == MG_CONTINUE || region->mode == MG_DIVERT;
}

/* What happens after the report; in the mode `throw` the context is prepared for it. */
static void choose_end(struct mg_event *event, siginfo_t *info, ucontext_t *context)
{
	static const char *const ENDS[] = {"dies", "goes on", "diverted", "throws"};
	enum mg_mode mode = event->region->mode;

	event->is_fatal = mode == MG_REPORT ||
			  (mode == MG_THROW && !(try_trap && try_trap(SIGSEGV, info, context)));
	event->end = ENDS[event->is_fatal ? MG_REPORT : mode];
}

void mg_die(struct mg_thread *thread, int signal)
{
	wait_for_turn(thread);
	mg_die_by(signal);
}

/* The older handler's turn, then the instruction again, which ends the process. */
static void die(struct mg_thread *thread, siginfo_t *info, ucontext_t *context)
{
	greg_t pc = context->uc_mcontext.gregs[REG_RIP];

	wait_for_turn(thread);
	/* userfaultfd has lifted its page for this write: it is to fault once more. */
	if (thread->event.region->flags & MG_SYSCALLS)
		mprotect((void *)(thread->event.address & -MG_PAGE), MG_PAGE, PROT_READ);
	mg_chain(thread, SIGSEGV, info, context, MG_CHAIN_TOP);
	/* It may have done as if nothing were (V8 does, for WebAssembly); the data must stay. */
	context->uc_mcontext.gregs[REG_RIP] = pc;
	mg_set_default(SIGSEGV);
}

static void act(struct mg_thread *thread, struct mg_region *region, siginfo_t *info,
		ucontext_t *context)
{
	thread->stage = "letting the write happen";
	if (goes_on(region)) {
		if (mg_step_over(thread, region, region->mode == MG_DIVERT, context))
			return;
		if (thread->step.is_late)
			mg_publish(thread);
		mg_give_up(thread, "the write cannot be let through");
	}
	if (thread->event.is_fatal)
		die(thread, info, context);
}

/* The page is open by now, or its region has ended: the instruction again. False when it stays
   closed all the same, by somebody else's hand. */
static bool retry(struct mg_thread *thread, uint64_t address)
{
	const struct mg_region *region = mg_region_at(address);

	if (region != NULL && region->is_moving)
		return sched_yield() == 0;
	if (mg_can_write(address))
		thread->retries = 0;
	else if (region == NULL || ++thread->retries > RETRIES_MAX)
		return false;
	return true;
}

/* Its new bytes are known when it has happened (`lock add`): mg_step_over() publishes it then. */
static bool is_known_later(const struct mg_event *event)
{
	return goes_on(event->region) && event->kind == MG_EVENT_WRITE &&
	       event->new_known < least(event->width, MG_BYTES_MAX);
}

/* A write that needs no report, as the place it comes from tells: it is let through. */
static bool passes_quietly(struct mg_thread *thread, struct mg_region *region, ucontext_t *context)
{
	bool is_once = goes_on(region) && (region->flags & MG_ONCE), is_allowed;
	struct mg_event *event = &thread->event;
	struct mg_stop stop = { event->pc, event->fp, event->sp, (uint64_t)region->id };
	uint32_t answer;

	thread->stage = "looking for the place";
	event->place = is_once || region->allow[0] != 0 ? mg_place(&stop) : 0;
	if (!mg_place_find(event->place, &answer) || mg_watch_is_on()) /* it may want this stack */
		return false;
	is_allowed = answer == PLACE_ALLOWED;
	if (region->alias != 0 || region->scratch != 0) /* where a plain store is done in the handler */
		mg_fill_bytes(event, context);
	thread->step.is_late = false;
	if (!(is_allowed || is_once) ||
	    !mg_step_over(thread, region, !is_allowed && region->mode == MG_DIVERT, context))
		return false;
	atomic_fetch_add(is_allowed ? &region->allowed : &region->faults, 1);
	if (!is_allowed)
		mg_seen_again(answer);
	return true;
}

static bool on_fault(struct mg_thread *thread, siginfo_t *info, ucontext_t *context)
{
	struct mg_event *event = &thread->event;
	struct mg_region *region;
	struct mg_page *page;
	uint64_t address;
	bool is_reported;
	uint32_t state;
	greg_t error;

	thread->stage = "looking for the page";
	if (mg_uffd_signal(thread, info, context)) /* it may make a fault of ours out of it */
		return true;
	address = (uint64_t)info->si_addr;
	error = context->uc_mcontext.gregs[REG_ERR];
	if (mg_step_again(thread, address, context))
		return true;
	if (info->si_code != SEGV_ACCERR || (error & ERROR_FETCH))
		return false;
	region = mg_region_at(address);
	if (region == NULL || address - region->start >= region->bytes)
		return mg_was_region(address) && retry(thread, address);
	page = &region->pages[(address - region->start) / MG_PAGE];
	state = atomic_load(&page->state);
	if (mg_page_is_busy(page) || atomic_load(&region->is_moving)) {
		sched_yield();
		return true;
	}
	if (state == MG_PAGE_OPEN || (state == MG_PAGE_PROTECTED && !(error & ERROR_WRITE)) ||
	    mg_region_at(address) != region)
		return retry(thread, address);
	thread->retries = 0;
	fill_event(thread, region, address, context);
	if (passes_quietly(thread, region, context))
		return true;
	mg_fill_bytes(event, context);
	walk(thread, context);
	if (is_allowed(event) && mg_step_over(thread, region, false, context)) {
		if (mg_is_first_to_blame(event->frames, event->frame_count, event->culprit))
			mg_place_keep(event->place, PLACE_ALLOWED);
		atomic_fetch_add(&region->allowed, 1);
		return true;
	}
	thread->stage = "asking V8";
	choose_end(event, info, context);
	is_reported = is_wanted(event);
	thread->step.is_late = is_reported && is_known_later(event);
	if (is_reported && !thread->step.is_late)
		mg_publish(thread);
	act(thread, region, info, context);
	return true;
}

static bool dispatch(struct mg_thread *thread, int signal, siginfo_t *info, ucontext_t *context)
{
	if (signal == SIGSEGV)
		return on_fault(thread, info, context);
	if (signal == SIGTRAP)
		return mg_step_done(thread, info, context) || mg_watch_hit(thread, info, context);
	mg_step_again(thread, 0, context); /* a bus error in the step: it is undone */
	return false;
}

/* `low`: of a stack that later signals are to go on from; rt_sigreturn() undoes that. Or NULL. */
static void on_signal(int signal, siginfo_t *info, void *context, const void *from, uint8_t *low)
{
	stack_t stack = {.ss_sp = low, .ss_size = MG_STACK_BYTES};
	struct mg_thread *thread = mg_thread_self();
	uint32_t level = mg_chain_level(thread, from);
	int error = errno;
	bool is_done = false;

	if (low != NULL)
		syscall(SYS_sigaltstack, &stack, NULL);
	if (thread != NULL && level == MG_CHAIN_TOP) {
		if (atomic_fetch_add(&thread->depth, 1) > 0) {
			if (signal != SIGTRAP || !mg_watch_hit(thread, info, context))
				mg_give_up(thread, "a fault inside of the handler");
			atomic_fetch_sub(&thread->depth, 1);
			return;
		}
		atomic_store(&thread->entered_ns, mg_now_ns(false));
		is_done = dispatch(thread, signal, info, context);
		atomic_store(&thread->entered_ns, 0);
		atomic_store(&thread->depth, 0);
	}
	errno = error;
	if (!is_done)
		mg_chain(thread, signal, info, context, level);
	errno = error;
}

_Static_assert(MG_STACK_BYTES == 131072, "call_on() has it in its text");
/* Calls the last parameter on the stack that the one before is the lowest byte of. */
__attribute__((naked)) static void call_on(int, siginfo_t *, void *, const void *, uint8_t *,
					   typeof(on_signal) *)
{
	__asm__("push %rbp; mov %rsp, %rbp; lea 131072(%r8), %rsp; call *%r9; leave; ret");
}

__attribute__((noinline)) void mg_on_signal(int signal, siginfo_t *info, void *context)
{
	const stack_t *now = &((const ucontext_t *)context)->uc_stack;
	uint64_t room = (uint64_t)__builtin_frame_address(0) - (uint64_t)now->ss_sp;
	const void *from = __builtin_return_address(0);
	struct mg_thread *thread = mg_thread_self();
	uint8_t *stack = NULL;

	if (thread != NULL && room < MG_STACK_BYTES / 2 && room < now->ss_size)
		stack = thread->spare_stack ?: mg_stack_map();
	if (stack == NULL)
		return on_signal(signal, info, context, from, NULL);
	thread->spare_stack = NULL; /* whoever leaves by longjmp keeps it */
	call_on(signal, info, context, from, stack, on_signal);
	thread->spare_stack = stack;
}

/* The child has one thread, no service thread, and the mutex. */
static void in_child(void)
{
	atomic_store(&writer_tid, 0);
	atomic_store(&dying_tid, 0);
	mg_regions_forked();
	mg_maps_forked();
	mg_threads_forked();
	mg_regions_unlock();
}

int mg_report_file(const char *path)
{
	int error = mg_report_open(path);

	return error < 0 ? mg_fail(-error, "the report file cannot be opened for appending") : 0;
}

int mg_start(void)
{
	const char *file = getenv("MILLRACE_GUARD_REPORT");
	int error = 0;

	pthread_mutex_lock(&start_mutex);
	if (!is_started) {
		error = file && file[0] ? mg_report_file(file) : 0;
		if (error == 0)
			error = mg_regions_start() ?: mg_threads_start() ?: mg_handlers_install();
		if (error == 0) {
			pthread_atfork(mg_regions_lock, mg_regions_unlock, in_child);
			mg_symbols_start();
			mg_v8_start();
			is_started = true;
		}
	}
	pthread_mutex_unlock(&start_mutex);
	return error;
}
