/*
 * Faults, and handlers in trouble: threads that fault at once, storms of toggling, a handler that
 * faults or hangs itself, fork. One scenario an argument. What stands in for the stack walk and the
 * single step is planted here, so that each can go wrong at will; with REAL it is the true one.
 */
#include "core.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4

enum trouble { NONE, FAULT, HANG };

static enum trouble trouble;
static uint8_t *memory; /* 64 pages */
static int region;
static _Atomic bool is_over;

#ifndef REAL
uint32_t mg_unwind(const ucontext_t *context, struct mg_frame *frames, uint32_t max)
{
	(void)max;
	if (trouble == FAULT)
		*(volatile int *)16 = 1;
	while (trouble == HANG)
		sched_yield();
	memset(frames, 0, sizeof *frames);
	frames->pc = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	return 1;
}

/* Lets the write wait until the owner has opened the page. */
bool mg_step_over(struct mg_thread *thread, struct mg_region *of, bool is_divert,
		  ucontext_t *context)
{
	uint64_t page = (thread->event.address - of->start) / MG_PAGE;

	(void)is_divert;
	(void)context;
	while (atomic_load(&of->pages[page].state) != MG_PAGE_OPEN)
		sched_yield();
	if (thread->step.is_late)
		mg_publish(thread);
	return true;
}

bool mg_step_done(struct mg_thread *thread, const siginfo_t *info, ucontext_t *context)
{
	(void)thread;
	(void)info;
	(void)context;
	return false;
}

bool mg_step_again(struct mg_thread *thread, uint64_t address, ucontext_t *context)
{
	(void)thread;
	(void)address;
	(void)context;
	return false;
}

void mg_fill_bytes(struct mg_event *event, const ucontext_t *context)
{
	(void)event;
	(void)context;
}

/* Those of a storm are not written. */
void mg_report_write(const struct mg_event *event)
{
	char line[200];
	int length = snprintf(line, sizeof line, "report %d: %s + %ld, %s\n", (int)event->seq,
			      event->label, (long)event->offset, event->end);

	/* In two pieces: another thread's may come between, if it is let. */
	if (event->region->mode == MG_REPORT && write(2, line, 9) == 9)
		sched_yield();
	if (event->region->mode == MG_REPORT && write(2, line + 9, (size_t)length - 9) < 0)
		_exit(9);
}

int mg_report_open(const char *path)
{
	(void)path;
	return 0;
}
#endif

static void start(enum mg_mode mode)
{
	struct mg_options options = {.label = "data", .mode = mode, .flags = MG_ONCE};

	memory = mmap(NULL, 64 * MG_PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mg_start() != 0 || mg_thread_enter("main", "test") != 0)
		exit(8);
	region = mg_region(memory, 64 * MG_PAGE, &options, NULL);
	if (region <= 0)
		exit(8);
}

static void report(void)
{
	start(MG_REPORT);
	mg_protect(region, 0, 64 * MG_PAGE, 1);
	memory[4096 * 7 + 3] = 1;
}

static void nested(void)
{
	trouble = FAULT;
	report();
}

static void hang(void)
{
	trouble = HANG;
	report();
}

static pthread_barrier_t barrier;

static void *write_one(void *offset)
{
	mg_thread_enter("writer", "test");
	pthread_barrier_wait(&barrier);
	memory[(uint64_t)offset] = 1;
	return NULL;
}

/* All threads fault at once: each report is whole, one death is enough. */
static void at_once(void)
{
	pthread_t threads[THREADS];

	start(MG_REPORT);
	mg_protect(region, 0, 64 * MG_PAGE, 1);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (uint64_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, write_one, (void *)(i * MG_PAGE));
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* Slices of random size, of one region shared by all togglers. */
static void *toggle(void *seed)
{
	unsigned state = (unsigned)(uint64_t)seed;

	for (uint32_t i = 0; i < 5000; i++) {
		size_t first = (size_t)rand_r(&state) % 60, count = 1 + (size_t)rand_r(&state) % 4;
		int error = rand_r(&state) % 2 == 0 ?
				    mg_protect(region, first * MG_PAGE, count * MG_PAGE, i) :
				    mg_unprotect(region, first * MG_PAGE, count * MG_PAGE);

		if (error != 0) {
			fprintf(stderr, "toggle: %d %s\n", error, mg_problem());
			exit(7);
		}
	}
	return NULL;
}

/* Adds to words all over the region, atomically: no add may be lost or done twice. */
static void *add(void *seed)
{
	unsigned state = (unsigned)(uint64_t)seed;
	uint64_t count = 0;

	for (; !atomic_load(&is_over) || count < 100; count++) {
		size_t page = (size_t)rand_r(&state) % 64;

		atomic_fetch_add((_Atomic uint64_t *)(void *)(memory + page * MG_PAGE), 1);
	}
	return (void *)count;
}

/* What the storm left is what the states say. */
static void check_states(void)
{
	for (size_t page = 0; page < 64; page++) {
		bool is_open = mg_region_of(region)->pages[page].state == MG_PAGE_OPEN;

		if ((madvise(memory + page * MG_PAGE, MG_PAGE, 23) == 0) != is_open)
			exit(6);
	}
}

static void *toggle_rounds(void *seed)
{
	unsigned state = (unsigned)(uint64_t)seed;

	for (int round = 0; round < 3000; round++) {
		pthread_barrier_wait(&barrier);
		for (int i = 0; i < 4; i++) {
			bool is_on = rand_r(&state) % 2 == 0;

			if ((is_on ? mg_protect(region, 0, 2 * MG_PAGE, 0) :
				     mg_unprotect(region, 0, 2 * MG_PAGE)) != 0)
				exit(7);
		}
		pthread_barrier_wait(&barrier);
		if (seed == (void *)1)
			check_states();
	}
	return NULL;
}

/* The same two pages, by all threads at once; after each round the states say what is. */
static void rounds(void)
{
	pthread_t threads[THREADS];

	start(MG_REPORT);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, toggle_rounds, (void *)(i + 1));
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	puts("right");
}

static uint64_t end_adders(pthread_t *adders)
{
	uint64_t sum = 0;
	void *count;

	atomic_store(&is_over, true);
	for (size_t i = 0; i < 2; i++) {
		pthread_join(adders[i], &count);
		sum += (uint64_t)count;
	}
	return sum;
}

static void storm(void)
{
	pthread_t togglers[THREADS], adders[2];
	uint64_t wanted, found = 0;

	start(MG_CONTINUE);
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&togglers[i], NULL, toggle, (void *)(i + 1));
	for (size_t i = 0; i < 2; i++)
		pthread_create(&adders[i], NULL, add, (void *)(i + 100));
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(togglers[i], NULL);
#ifdef REAL
	wanted = end_adders(adders); /* before: a step opens its page */
	check_states();
	mg_unprotect(region, 0, 64 * MG_PAGE);
#else
	check_states();
	mg_unprotect(region, 0, 64 * MG_PAGE);
	wanted = end_adders(adders); /* they wait for open pages */
#endif
	for (size_t page = 0; page < 64; page++)
		found += *(uint64_t *)(void *)(memory + page * MG_PAGE);
	printf("%s: %ld adds, %ld of them found a closed page\n", found == wanted ? "right" : "wrong",
	       (long)found, (long)mg_region_of(region)->faults);
}

/* Regions come and go under threads that fault on them. */
static void come_and_go(void)
{
	struct mg_options options = {.label = "short", .mode = MG_CONTINUE, .flags = MG_ONCE};
	pthread_t adders[2];

	start(MG_CONTINUE);
	mg_region_end(region);
	for (size_t i = 0; i < 2; i++)
		pthread_create(&adders[i], NULL, add, (void *)(i + 100));
	for (uint32_t i = 0; i < 3000; i++) {
		region = mg_region(memory, (1 + i % 64) * MG_PAGE, &options, NULL);
		if (region <= 0 || mg_protect(region, 0, (1 + i % 64) * MG_PAGE, i) != 0)
			exit(7);
		if (mg_unprotect(region, 0, MG_PAGE * (1 + i % 64)) != 0 ||
		    mg_region_end(region) != 0)
			exit(7);
	}
	atomic_store(&is_over, true);
	for (size_t i = 0; i < 2; i++)
		pthread_join(adders[i], NULL);
	puts("right");
}

static void *toggle_for_long(void *seed)
{
	while (!atomic_load(&is_over))
		toggle(seed);
	return NULL;
}

/* Children of a process whose other threads are in the middle of toggling. */
static void forks(void)
{
	pthread_t thread;
	int status, wrong = 0, quiet = open("/dev/null", O_WRONLY);

	start(MG_REPORT);
	pthread_create(&thread, NULL, toggle_for_long, (void *)5);
	for (int i = 0; i < 50; i++) {
		pid_t child = fork();

		if (child == 0) {
			alarm(30); /* a claim of a thread that is not there */
			if (mg_unprotect(region, 0, 64 * MG_PAGE) != 0)
				_exit(2);
			memory[0] = 1;
			if (mg_protect(region, 0, MG_PAGE, 3) != 0 || !mg_service_runs())
				_exit(3);
			if (dup2(quiet, 2) != 2)
				_exit(4);
			memory[1] = 1;
			_exit(5);
		}
		waitpid(child, &status, 0);
		wrong += !WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV;
	}
	atomic_store(&is_over, true);
	pthread_join(thread, NULL);
	printf("%s: %d\n", wrong == 0 ? "right" : "wrong", wrong);
}

static void *claim(void *nothing)
{
	struct mg_thread *thread = mg_thread_self();

	(void)nothing;
	return thread != NULL && thread == mg_thread_self() && thread->tid == mg_tid() ? memory :
											 NULL;
}

static void *enter_twice(void *nothing)
{
	stack_t before, during, after;

	(void)nothing;
	sigaltstack(NULL, &before);
	mg_thread_enter("one", "test");
	mg_thread_enter("two", "");
	mg_thread_leave();
	sigaltstack(NULL, &during);
	mg_thread_leave();
	mg_thread_leave(); /* one too many */
	sigaltstack(NULL, &after);
	return !(during.ss_flags & SS_DISABLE) && after.ss_flags == before.ss_flags ? memory : NULL;
}

/* More threads than slots, one after the other: those of the dead are taken again. */
static void slots(void)
{
	pthread_t thread;
	void *is_right;

	start(MG_REPORT);
	for (int i = 0; i < MG_THREADS_MAX + 200; i++) {
		pthread_create(&thread, NULL, claim, NULL);
		pthread_join(thread, &is_right);
		if (is_right == NULL)
			exit(6);
	}
	for (int i = 0; i < MG_THREADS_MAX + 200; i++) {
		pthread_create(&thread, NULL, enter_twice, NULL);
		pthread_join(thread, &is_right);
		if (is_right == NULL)
			exit(7);
	}
	puts("right");
}

static sigjmp_buf landing;

static void jump(int signal)
{
	siglongjmp(landing, signal);
}

static void fault_and_jump(void)
{
	if (sigsetjmp(landing, 1) == 0)
		*(volatile int *)16 = 1;
}

/* A thread that never entered, on an alternate stack of 8 KiB or so that is another's: no byte
   below is touched. An older handler that leaves it by a jump does no harm either. */
static void *write_on_small_stack(void *below)
{
	long least = sysconf(_SC_MINSIGSTKSZ);
	stack_t small = {.ss_sp = (uint8_t *)below + 16 * MG_PAGE}, now;
	bool is_right = true;

	small.ss_size = least > 4096 ? (size_t)least + 4096 : 8192;
	memset(below, 0x5a, 24 * MG_PAGE);
	sigaltstack(&small, NULL);
	for (int i = 0; i < 20; i++) {
		memory[4096 * 7 + i] = (uint8_t)i;
		sigaltstack(NULL, &now);
		is_right &= now.ss_sp == small.ss_sp && now.ss_size == small.ss_size;
	}
	for (size_t i = 0; i < 16 * MG_PAGE; i++)
		is_right &= ((uint8_t *)below)[i] == 0x5a;
	for (int i = 0; i < 100; i++)
		fault_and_jump();
	memory[4096 * 7 + 20] = 20;
	for (size_t i = 0; i < 16 * MG_PAGE; i++)
		is_right &= ((uint8_t *)below)[i] == 0x5a;
	return is_right ? memory : NULL;
}

static void small_stack(void)
{
	struct sigaction older = {.sa_handler = jump, .sa_flags = SA_ONSTACK};
	void *is_right, *below = mmap(NULL, 24 * MG_PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;

	sigaction(SIGSEGV, &older, NULL);
	start(MG_CONTINUE);
	mg_protect(region, 0, 64 * MG_PAGE, 1);
	pthread_create(&thread, NULL, write_on_small_stack, below);
	pthread_join(thread, &is_right);
	mg_unprotect(region, 0, 64 * MG_PAGE);
	for (int i = 0; i <= 20; i++)
		if (memory[4096 * 7 + i] != i)
			is_right = NULL;
	puts(is_right ? "right" : "wrong");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} SCENARIOS[] = {
		{"report", report},   {"nested", nested},           {"hang", hang},
		{"at-once", at_once}, {"storm", storm},             {"fork", forks},
		{"slots", slots},     {"come-and-go", come_and_go}, {"rounds", rounds},
		{"small-stack", small_stack},
	};

	for (size_t i = 0; argc > 1 && i < sizeof SCENARIOS / sizeof SCENARIOS[0]; i++)
		if (strcmp(argv[1], SCENARIOS[i].name) == 0)
			SCENARIOS[i].run();
	return 0;
}
