/*
 * Threads: a slot each with what its handler needs, an alternate stack, and the service thread.
 *
 * SLOTS       Mapped at the start, 1024 of them. A thread that entered owns one until it leaves; a
 *             thread that never did is given one by its first fault (compare-and-swap on `tid`),
 *             and loses it to another when it is gone and no slot is free.
 * STACKS      A fault may be a stack overflow, so handlers run on a stack of their own: 128 KiB
 *             above an inaccessible page. A thread that never entered uses the stack that it is on,
 *             unless that is a small alternate one of somebody else (Rust: 8 KiB, ASan: 32).
 * SERVICE     One thread, started with the first region: ends a process whose handler hangs (the
 *             watchdog), and serves userfaultfd. It looks once a second while regions exist and
 *             sleeps for good otherwise. A child of fork() has none until its next mg_region().
 */
#include "core.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define WATCHDOG_MS 5000
#define TICK_MS_MAX 1000

static struct mg_thread *slots;
static _Atomic size_t slots_used;
static __thread struct mg_thread *self;
static _Atomic bool has_service;
static int wake_fd = -1;
static long watchdog_ms = WATCHDOG_MS;

int mg_threads_start(void)
{
	const char *text = getenv("MILLRACE_GUARD_WATCHDOG_MS");

	if (text != NULL && atol(text) > 0)
		watchdog_ms = atol(text);
	slots = mg_own_map(MG_THREADS_MAX * sizeof(*slots));
	if (slots == NULL)
		return mg_fail(ENOMEM, "no address space for the guard's own tables");
	return 0;
}

struct mg_thread *mg_thread_slot(size_t index)
{
	return slots != NULL && index < atomic_load(&slots_used) ? &slots[index] : NULL;
}

const char *mg_thread_name(int32_t tid)
{
	const struct mg_thread *thread;

	for (size_t i = 0; tid != 0 && (thread = mg_thread_slot(i)) != NULL; i++)
		if (atomic_load(&thread->tid) == tid)
			return thread->name;
	return "";
}

static struct mg_thread *slot_claim(int32_t tid, bool is_reclaim)
{
	for (size_t i = 0; i < MG_THREADS_MAX; i++) {
		int32_t found = atomic_load(&slots[i].tid);

		if (found != 0 && !(is_reclaim && mg_task_is_gone(found)))
			continue;
		if (!atomic_compare_exchange_strong(&slots[i].tid, &found, tid))
			continue;
		for (size_t used = atomic_load(&slots_used); used <= i;)
			if (atomic_compare_exchange_weak(&slots_used, &used, i + 1))
				break;
		slots[i].entered_ns = slots[i].depth = 0;
		slots[i].stack_start = slots[i].stack_end = slots[i].entered = slots[i].chain = 0;
		slots[i].step.is_on = false;
		slots[i].role[0] = 0;
		prctl(PR_GET_NAME, slots[i].name);
		return &slots[i];
	}
	return NULL;
}

struct mg_thread *mg_thread_self(void)
{
	int32_t tid = mg_tid();

	if (slots == NULL)
		return NULL;
	if (self != NULL && atomic_load(&self->tid) == tid)
		return self;
	self = slot_claim(tid, false);
	if (self == NULL)
		self = slot_claim(tid, true);
	return self;
}

uint8_t *mg_stack_map(void)
{
	uint8_t *low = mmap(NULL, MG_PAGE + MG_STACK_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (low != MAP_FAILED)
		mprotect(low, MG_PAGE, PROT_NONE);
	return low != MAP_FAILED ? low + MG_PAGE : NULL;
}

static void stack_give(struct mg_thread *thread)
{
	stack_t stack = {.ss_size = MG_STACK_BYTES, .ss_sp = mg_stack_map()};

	if (stack.ss_sp != NULL && sigaltstack(&stack, &thread->older_stack) == 0)
		thread->alt_stack = stack.ss_sp;
	else if (stack.ss_sp != NULL)
		munmap(stack.ss_sp - MG_PAGE, MG_PAGE + MG_STACK_BYTES);
}

/* Where the thread's own stack is, so that nobody guards it. */
static void stack_note(struct mg_thread *thread)
{
	pthread_attr_t attributes;
	size_t bytes = 0;
	void *low = NULL;

	if (pthread_getattr_np(pthread_self(), &attributes) != 0)
		return;
	pthread_attr_getstack(&attributes, &low, &bytes);
	pthread_attr_destroy(&attributes);
	thread->stack_start = (uint64_t)low;
	thread->stack_end = (uint64_t)low + bytes;
}

int mg_thread_enter(const char *name, const char *role)
{
	struct mg_thread *thread = mg_thread_self();

	if (thread == NULL)
		return mg_fail(ENOSPC, "mg_start() has not been called, or 1024 threads entered");
	if (name != NULL && name[0] != 0)
		strncpy(thread->name, name, sizeof(thread->name) - 1);
	if (role != NULL && role[0] != 0)
		strncpy(thread->role, role, sizeof(thread->role) - 1);
	if (thread->entered++ > 0)
		return 0;
	stack_note(thread);
	stack_give(thread);
	return 0;
}

void mg_thread_leave(void)
{
	struct mg_thread *thread = self;

	if (thread == NULL || thread->entered == 0 || --thread->entered > 0)
		return;
	if (thread->alt_stack != NULL) {
		sigaltstack(&thread->older_stack, NULL);
		munmap(thread->alt_stack - MG_PAGE, MG_PAGE + MG_STACK_BYTES);
		thread->alt_stack = NULL;
	}
	thread->stack_start = thread->stack_end = 0;
	self = NULL;
	atomic_store(&thread->tid, 0);
}

static void watch_handlers(void)
{
	uint64_t now = mg_now_ns(false), limit = (uint64_t)watchdog_ms * 1000000ul;
	struct mg_thread *thread;

	for (size_t i = 0; (thread = mg_thread_slot(i)) != NULL; i++) {
		uint64_t entered = atomic_load(&thread->entered_ns);

		if (atomic_load(&thread->tid) != 0 && entered != 0 && now > entered + limit)
			mg_give_up(thread, "the handler hangs");
	}
}

static void *serve(void *nothing)
{
	int tick = watchdog_ms / 2 < TICK_MS_MAX ? (int)watchdog_ms / 2 + 1 : TICK_MS_MAX;
	uint64_t count;

	prctl(PR_SET_NAME, "millrace-guard");
	for (;;) {
		struct pollfd fds[2] = {{wake_fd, POLLIN, 0}, {mg_uffd_fd(), POLLIN, 0}};

		poll(fds, 2, mg_region_count() > 0 ? tick : -1);
		if (fds[0].revents != 0 && read(wake_fd, &count, sizeof(count)) < 0)
			continue;
		mg_uffd_serve();
		watch_handlers();
	}
	return nothing;
}

int mg_service_start(void)
{
	bool wanted = false;
	sigset_t all, before;
	pthread_attr_t attributes;
	uint64_t one = 1;
	pthread_t thread;
	int error;

	if (!atomic_compare_exchange_strong(&has_service, &wanted, true))
		return write(wake_fd, &one, sizeof(one)) < 0 ? -errno : 0;
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, MG_STACK_BYTES);
	error = pthread_create(&thread, &attributes, serve, NULL);
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	atomic_store(&has_service, error == 0);
	return error ? mg_fail(error, "the guard's service thread cannot be started") : 0;
}

bool mg_service_runs(void)
{
	return atomic_load(&has_service);
}

void mg_threads_forked(void)
{
	close(wake_fd);
	wake_fd = -1;
	atomic_store(&has_service, false);
	if (self != NULL)
		atomic_store(&self->tid, mg_tid());
}
