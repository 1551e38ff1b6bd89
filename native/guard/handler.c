/*
 * The signal handler: whose fault it is, who reports it, and how the thread goes on or dies.
 *
 * SIGNALS     SIGSEGV, SIGBUS, SIGTRAP. All other signals but the synchronous ones are held back
 *             while it runs (a profiler's tick waits), these are not (SA_NODEFER): a fault of the
 *             handler itself enters it again at depth 1, says where it was, and dies.
 * NOT OURS    goes to whatever was installed before, called as the kernel would have called it.
 * OTHERS      may install a handler above ours. Each new region looks; ours is put on top again
 *             and theirs becomes the one below. Theirs may call ours (it found us): the kernel's
 *             own calls are told from those by the return address, which is the restorer, and a
 *             call from below goes on one handler further down, so there is no circle.
 * DYING       In the mode `report` the older handler has its turn, then SIG_DFL is set and the
 *             instruction faults again: exit by SIGSEGV and a core dump at the culprit. A second
 *             thread waits meanwhile. Reports are written by one thread at a time.
 */
#include "core.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define OLDER_MAX 8
#define RETRIES_BETWEEN_PROBES 256
#define WRITER_WAIT_MS 1000
#define ERROR_WRITE 2 /* page-fault error code: it was a write */
#define ERROR_FETCH 16

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGTRAP};
#define SIGNAL_COUNT (sizeof(SIGNALS) / sizeof(SIGNALS[0]))

/* What was installed before ours, the oldest first. */
struct older {
	struct sigaction action[OLDER_MAX];
	_Atomic uint32_t count;
};

static struct older older_of[SIGNAL_COUNT];
static void *restorer; /* where a handler that the kernel called returns to */
static _Atomic int32_t dying_tid, writer_tid;
static _Atomic uint64_t reports;
static pthread_mutex_t start_mutex = PTHREAD_MUTEX_INITIALIZER;
static bool is_started;

static void on_signal(int signal, siginfo_t *info, void *context);

static struct older *older(int signal)
{
	return &older_of[signal == SIGSEGV ? 0 : signal == SIGBUS ? 1 : 2];
}

static void set_default(int signal)
{
	struct sigaction action = {.sa_handler = SIG_DFL};

	sigaction(signal, &action, NULL);
}

static void die_by(int signal)
{
	sigset_t only;

	set_default(signal);
	sigemptyset(&only);
	sigaddset(&only, signal);
	sigprocmask(SIG_UNBLOCK, &only, NULL);
	syscall(SYS_tgkill, getpid(), mg_tid(), signal);
}

static void pause_ms(long ms)
{
	struct timespec time = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

/* As the kernel would have called it; returns when the thread may go on. */
static void call_older(struct mg_thread *thread, int signal, siginfo_t *info, ucontext_t *context,
		       uint32_t level)
{
	uint32_t before = thread == NULL ? 0 : thread->chain;
	struct sigaction *action;
	sigset_t mask, kept;

	if (level == 0)
		return die_by(signal);
	action = &older(signal)->action[level - 1];
	if (action->sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	if (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN) {
		/* A fault comes back by itself, with the registers of the culprit in the dump. */
		if (info->si_code > 0 && signal != SIGTRAP)
			return set_default(signal);
		return die_by(signal);
	}
	sigorset(&mask, &context->uc_sigmask, &action->sa_mask);
	if (!(action->sa_flags & SA_NODEFER))
		sigaddset(&mask, signal);
	sigprocmask(SIG_SETMASK, &mask, &kept);
	if (thread != NULL)
		thread->chain = level;
	if (action->sa_flags & SA_SIGINFO)
		action->sa_sigaction(signal, info, context);
	else
		action->sa_handler(signal);
	if (thread != NULL)
		thread->chain = before;
	sigprocmask(SIG_SETMASK, &kept, NULL);
}

static char *put(char *to, const char *text)
{
	while (*text != 0)
		*to++ = *text++;
	return to;
}

static char *put_number(char *to, uint64_t value, unsigned base)
{
	char digits[24];
	size_t count = 0;

	do
		digits[count++] = "0123456789abcdef"[value % base];
	while ((value /= base) != 0);
	while (count > 0)
		*to++ = digits[--count];
	return to;
}

_Noreturn void mg_give_up(struct mg_thread *thread, const char *why)
{
	static _Atomic bool is_given_up;
	char line[512], *at = line;

	if (!atomic_exchange(&is_given_up, true)) {
		at = put(put(at, "millrace guard: "), why);
		at = put_number(put(at, "; thread "), (uint64_t)atomic_load(&thread->tid), 10);
		at = put(put(at, ", while "), thread->stage == NULL ? "starting" : thread->stage);
		at = put_number(put(at, ", of the fault at 0x"), thread->event.address, 16);
		at = put_number(put(at, " (pc 0x"), thread->event.pc, 16);
		if (thread->event.label != NULL)
			at = put(put(at, ") in "), thread->event.label);
		*at++ = '\n';
		if (write(2, line, (size_t)(at - line)) < 0)
			at = line;
	}
	/* The watchdog's thread ends the one that hangs, all others themselves. */
	set_default(SIGSEGV);
	if (atomic_load(&thread->tid) != mg_tid()) {
		syscall(SYS_tgkill, getpid(), atomic_load(&thread->tid), SIGSEGV);
		pause_ms(1000);
	}
	die_by(SIGSEGV);
	for (;;)
		syscall(SYS_kill, getpid(), SIGKILL);
}

static void walk(struct mg_thread *thread, const ucontext_t *context)
{
	struct mg_event *event = &thread->event;

	thread->stage = "walking the stack";
	event->frame_count = mg_unwind(context, event->frames, MG_FRAMES_MAX);
	thread->stage = "choosing the culprit";
	mg_choose_culprit(event);
}

void mg_publish(struct mg_thread *thread)
{
	int32_t tid = mg_tid(), nobody = 0;
	bool is_mine = false;

	thread->stage = "waiting for another report's end";
	for (int ms = 0; ms < WRITER_WAIT_MS && !is_mine; ms++) {
		nobody = 0;
		is_mine = atomic_compare_exchange_strong(&writer_tid, &nobody, tid);
		if (!is_mine)
			pause_ms(1);
	}
	thread->event.seq = atomic_fetch_add(&reports, 1) + 1;
	thread->stage = "writing the report";
	mg_report_write(&thread->event);
	if (is_mine)
		atomic_store(&writer_tid, 0);
}

bool mg_report_event(struct mg_thread *thread, const ucontext_t *context)
{
	const struct mg_event *event = &thread->event;

	if (context != NULL)
		walk(thread, context);
	if (mg_is_allowed(event)) {
		atomic_fetch_add(&((struct mg_region *)event->region)->allowed, 1);
		return false;
	}
	if (event->region != NULL)
		atomic_fetch_add(&((struct mg_region *)event->region)->faults, 1);
	if (!mg_seen_before(event) || event->is_fatal || event->region == NULL ||
	    !(event->region->flags & MG_ONCE))
		mg_publish(thread);
	return true;
}

/* Its own report is written; another thread's death takes this one along. */
static void wait_for_turn(struct mg_thread *thread)
{
	int32_t tid = mg_tid(), nobody = 0;

	if (atomic_compare_exchange_strong(&dying_tid, &nobody, tid) || nobody == tid)
		return;
	atomic_store(&thread->entered_ns, 0);
	for (;;)
		pause_ms(1000);
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
	event->address = address;
	event->region = region;
	event->label = region->label;
	event->page_index = (uint32_t)((address - region->start) / MG_PAGE);
	event->page = region->pages[event->page_index];
	event->offset = address - region->given;
}

static void fill_event(struct mg_thread *thread, struct mg_region *region, uint64_t address,
		       const ucontext_t *context)
{
	bool is_write = context->uc_mcontext.gregs[REG_ERR] & ERROR_WRITE;
	struct mg_event *event = &thread->event;
	size_t room = sizeof(event->code) - 1;
	uint64_t to_page_end;

	mg_event_start(thread, is_write ? MG_EVENT_WRITE : MG_EVENT_READ, context);
	mg_event_place(event, region, address);
	to_page_end = MG_PAGE - (event->pc & (MG_PAGE - 1));
	if (!mg_read(event->pc, event->code, room)) {
		room = to_page_end < room ? to_page_end : room;
		if (!mg_read(event->pc, event->code, room))
			room = 0;
	}
	thread->stage = "reading the instruction";
	mg_decode(event->code, room, &event->insn);
	mg_fill_bytes(event, context);
}

static void choose_end(struct mg_event *event)
{
	bool is_wasm = event->frame_count > 0 && event->frames[0].kind == MG_FRAME_WASM;

	event->is_fatal = false;
	switch (event->region->mode) {
	case MG_CONTINUE:
		event->end = "goes on";
		break;
	case MG_DIVERT:
		event->end = "diverted";
		break;
	case MG_THROW:
		event->end = "throws";
		event->is_fatal = !is_wasm || event->insn.is_atomic;
		break;
	default:
		event->is_fatal = true;
	}
	if (event->is_fatal)
		event->end = "dies";
}

void mg_die(struct mg_thread *thread, int signal)
{
	wait_for_turn(thread);
	atomic_store(&thread->entered_ns, 0);
	die_by(signal);
}

/* The older handler's turn, then the end of the process; false for "the instruction again". */
static void die(struct mg_thread *thread, int signal, siginfo_t *info, ucontext_t *context)
{
	greg_t pc = context->uc_mcontext.gregs[REG_RIP];

	wait_for_turn(thread);
	atomic_store(&thread->entered_ns, 0);
	call_older(thread, signal, info, context, atomic_load(&older(signal)->count));
	/* It may have done as if nothing were; the data must not be written. */
	context->uc_mcontext.gregs[REG_RIP] = pc;
	set_default(signal);
}

static void act(struct mg_thread *thread, struct mg_region *region, siginfo_t *info,
		ucontext_t *context)
{
	greg_t pc = context->uc_mcontext.gregs[REG_RIP];

	thread->stage = "letting the write happen";
	if (region->mode == MG_CONTINUE || region->mode == MG_DIVERT) {
		if (mg_step_over(thread, region, region->mode == MG_DIVERT, context))
			return;
		if (thread->step.is_late)
			mg_publish(thread);
		mg_give_up(thread, "the write cannot be let through");
	}
	if (region->mode == MG_THROW && !thread->event.is_fatal) {
		call_older(thread, SIGSEGV, info, context, atomic_load(&older(SIGSEGV)->count));
		if (context->uc_mcontext.gregs[REG_RIP] != pc)
			return;
	}
	die(thread, SIGSEGV, info, context);
}

/* The page is open by now: the instruction again. False when the page stays closed all the same. */
static bool retry(struct mg_thread *thread, uint64_t address)
{
	if (++thread->retries % RETRIES_BETWEEN_PROBES != 0)
		return true;
	return madvise((void *)(address & ~(MG_PAGE - 1)), MG_PAGE, MADV_POPULATE_WRITE) == 0;
}

/* Its new bytes are known when it has happened (`lock add`): mg_step_over() publishes it then. */
static bool is_known_later(const struct mg_event *event)
{
	bool happens = event->region->mode == MG_CONTINUE || event->region->mode == MG_DIVERT;
	uint32_t wanted = event->width < MG_BYTES_MAX ? event->width : MG_BYTES_MAX;

	return happens && event->kind == MG_EVENT_WRITE && event->new_known < wanted;
}

static bool on_fault(struct mg_thread *thread, siginfo_t *info, ucontext_t *context)
{
	uint64_t address = (uint64_t)info->si_addr;
	greg_t error = context->uc_mcontext.gregs[REG_ERR];
	struct mg_region *region;
	struct mg_page *page;
	uint32_t state;
	bool is_seen;

	thread->stage = "looking for the page";
	if (mg_uffd_signal(thread, info, context) || mg_step_again(thread, address, context))
		return true;
	region = info->si_code == SEGV_ACCERR ? mg_region_at(address) : NULL;
	if (region == NULL || (error & ERROR_FETCH) || address - region->start >= region->bytes)
		return false;
	page = &region->pages[(address - region->start) / MG_PAGE];
	state = atomic_load(&page->state);
	if (state == MG_PAGE_OPEN || (state == MG_PAGE_PROTECTED && !(error & ERROR_WRITE)))
		return retry(thread, address);
	thread->retries = 0;
	fill_event(thread, region, address, context);
	walk(thread, context);
	if (mg_is_allowed(&thread->event) && mg_step_over(thread, region, false, context)) {
		atomic_fetch_add(&region->allowed, 1);
		return true;
	}
	atomic_fetch_add(&region->faults, 1);
	choose_end(&thread->event);
	is_seen = mg_seen_before(&thread->event) && (region->flags & MG_ONCE);
	thread->step.is_late = !is_seen && is_known_later(&thread->event);
	if (!thread->step.is_late && (!is_seen || thread->event.is_fatal))
		mg_publish(thread);
	act(thread, region, info, context);
	return true;
}

static bool dispatch(struct mg_thread *thread, int signal, siginfo_t *info, ucontext_t *context)
{
	if (signal == SIGSEGV)
		return on_fault(thread, info, context);
	if (signal == SIGTRAP) {
		bool is_stepped = mg_step_done(thread, info, context);

		return mg_watch_hit(thread, info, context) || is_stepped;
	}
	mg_step_again(thread, 0, context); /* a bus error in the step: it is undone */
	return false;
}

static __attribute__((noinline)) void on_signal(int signal, siginfo_t *info, void *raw)
{
	bool is_kernels = __builtin_return_address(0) == restorer;
	struct mg_thread *thread = mg_thread_self();
	uint32_t level = atomic_load(&older(signal)->count);
	ucontext_t *context = raw;
	int error = errno;
	bool is_done = false;

	if (thread != NULL) {
		if (is_kernels)
			thread->chain = 0;
		if (thread->chain != 0)
			level = thread->chain - 1;
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
		call_older(thread, signal, info, context, level);
	errno = error;
}

/* Puts ours on top; what is there, unless it is known, becomes the one below. */
int mg_handlers_install(void)
{
	struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} kernels = {0};

	ours.sa_sigaction = on_signal;
	sigfillset(&ours.sa_mask);
	for (size_t i = 0; i < SIGNAL_COUNT; i++)
		sigdelset(&ours.sa_mask, SIGNALS[i]);
	sigdelset(&ours.sa_mask, SIGILL);
	sigdelset(&ours.sa_mask, SIGFPE);
	sigdelset(&ours.sa_mask, SIGABRT);
	for (size_t i = 0; i < SIGNAL_COUNT; i++) {
		struct older *list = &older_of[i];
		uint32_t count = atomic_load(&list->count), known = 0;
		struct sigaction found;

		sigaction(SIGNALS[i], NULL, &found);
		if (found.sa_sigaction == on_signal)
			continue;
		while (known < count && list->action[known].sa_sigaction != found.sa_sigaction)
			known++;
		if (known == OLDER_MAX)
			return mg_fail(EBUSY, "too many other handlers of SIGSEGV");
		if (known == count) {
			list->action[known] = found;
			atomic_store(&list->count, count + 1);
		}
		sigaction(SIGNALS[i], &ours, NULL);
	}
	syscall(SYS_rt_sigaction, SIGSEGV, NULL, &kernels, 8);
	restorer = kernels.restorer;
	return 0;
}

static void before_fork(void)
{
	mg_regions_lock(true);
}

static void after_fork(void)
{
	mg_regions_lock(false);
}

static void after_fork_child(void)
{
	mg_regions_lock(false);
	mg_threads_forked();
}

int mg_start(void)
{
	const char *file = getenv("MILLRACE_GUARD_REPORT");
	int error = 0;

	pthread_mutex_lock(&start_mutex);
	if (!is_started) {
		error = file && file[0] ? mg_report_file(file) : 0;
		if (error == 0)
			error = mg_regions_start();
		if (error == 0)
			error = mg_threads_start();
		if (error == 0)
			error = mg_handlers_install();
		if (error == 0) {
			pthread_atfork(before_fork, after_fork, after_fork_child);
			mg_symbols_start();
			mg_v8_start();
			is_started = true;
		}
	}
	pthread_mutex_unlock(&start_mutex);
	return error;
}
