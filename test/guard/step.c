/*
 * Programs that write into guarded memory and go on; each ends with 0, or says what was wrong.
 * usage: step NAME [COUNT]
 */
#include "core.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGES 8
#define BYTES (PAGES * MG_PAGE)
#define FLAG_TRAP 0x100
#define GROWING_ROUNDS 5

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, \
				mg_problem()); \
			exit(1); \
		} \
	} while (0)

static uint8_t *memory;
static int region;

static uint8_t *map(size_t bytes)
{
	void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(mapped != MAP_FAILED);
	return mapped;
}

static int make(enum mg_mode mode, unsigned flags)
{
	struct mg_options options = { .label = "data", .mode = mode, .flags = flags | MG_ONCE };
	struct mg_extent extent;

	return mg_region(memory, BYTES, &options, &extent);
}

static void setup(enum mg_mode mode, unsigned flags)
{
	if (memory == NULL)
		memory = map(BYTES);
	CHECK(mg_start() == 0 && mg_thread_enter("main", "tester") == 0);
	region = make(mode, flags);
	CHECK(region > 0);
	CHECK(mg_protect(region, 0, BYTES, 1) == 0);
}

static uint64_t faults(void)
{
	return mg_region_of(region)->faults;
}

/* Reading past an unreadable page or writing to a closed one fails without a fault. */
static bool is_closed(const void *at)
{
	int pipe_fds[2];
	bool is_failed;

	CHECK(pipe(pipe_fds) == 0 && write(pipe_fds[1], "x", 1) == 1);
	is_failed = read(pipe_fds[0], (void *)at, 1) < 0 && errno == EFAULT;
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return is_failed;
}

__attribute__((no_sanitize("alignment"))) static void basic(long count)
{
	uint64_t *word;

	(void)count;
	setup(MG_CONTINUE, 0);
	word = (uint64_t *)(memory + MG_PAGE - 4); /* over the border of two pages */
	*(volatile uint64_t *)word = 0x1122334455667788;
	CHECK(*word == 0x1122334455667788);
	__atomic_fetch_add((uint32_t *)memory + 1, 5, __ATOMIC_SEQ_CST);
	CHECK(((uint32_t *)memory)[1] == 5);
	memset(memory + 100, 7, 3 * MG_PAGE);
	CHECK(memory[99] == 0 && memory[100] == 7 && memory[99 + 3 * MG_PAGE] == 7);
	CHECK(memory[100 + 3 * MG_PAGE] == 0);
	for (int i = 0; i < PAGES; i++)
		CHECK(is_closed(memory + i * MG_PAGE));
}

static atomic_bool is_over;
static long writes;
static bool takes_turns;
static atomic_ulong turn; /* even: of the words at the start of the memory */

static void wait_for_turn(bool is_odd)
{
	while (atomic_load(&turn) % 2 != is_odd)
		sched_yield();
}

/* Own words of one page: plain stores, and additions that the processor has to step. */
static void *hammer(void *words)
{
	volatile uint32_t *own = words;
	bool is_odd = words != memory;

	mg_thread_enter("hammer", "tester");
	for (long i = 1; i <= writes; i++) {
		if (takes_turns)
			wait_for_turn(is_odd);
		own[0] = (uint32_t)i;
		__atomic_fetch_add(&own[1], 1, __ATOMIC_SEQ_CST);
		atomic_fetch_add(&turn, 1);
	}
	mg_thread_leave();
	return NULL;
}

static void hammer_by_two(long count, unsigned flags, bool in_turns)
{
	pthread_t other;

	setup(MG_CONTINUE, flags);
	writes = count;
	takes_turns = in_turns;
	CHECK(pthread_create(&other, NULL, hammer, memory + 64) == 0);
	hammer(memory);
	pthread_join(other, NULL);
	for (int i = 0; i < 2; i++) {
		CHECK(((uint32_t *)memory)[16 * i] == count);
		CHECK(((uint32_t *)memory)[16 * i + 1] == count);
	}
	CHECK(is_closed(memory));
	CHECK(mg_region_of(region)->pages[0].openers == 0);
	printf("%lu faults\n", (unsigned long)faults());
}

/* Every write of both is seen: no page ever opens. */
static void hammer_alias(long count)
{
	hammer_by_two(count, MG_ALIAS, false);
	CHECK(faults() == 4 * (uint64_t)count);
}

/* No write is lost. Not seen is what happens while the other thread has the page open: how much
   that is, all or nothing, is up to the scheduler. */
static void hammer_step(long count)
{
	hammer_by_two(count, 0, false);
	CHECK(faults() <= 4 * (uint64_t)count);
}

/* No step of the other is left open: then every write of both is seen. */
static void hammer_turns(long count)
{
	hammer_by_two(count, 0, true);
	CHECK(faults() == 4 * (uint64_t)count);
}

static void *count_up(void *at)
{
	atomic_ulong *word = at;
	unsigned long count = 0;

	mg_thread_enter("writer", "tester");
	while (!atomic_load(&is_over)) {
		if (atomic_fetch_add(word, 1) != count++)
			return at;
		atomic_store(word + 1, count);
	}
	mg_thread_leave();
	return atomic_load(word) == count && atomic_load(word + 1) == count ? NULL : at;
}

/* The pages move into the alias and back while two threads write there. */
static void moving(long count)
{
	pthread_t writers[2];
	void *failed;

	memory = map(BYTES);
	CHECK(mg_start() == 0 && mg_thread_enter("main", "tester") == 0);
	memset(memory + 2 * MG_PAGE, 0x77, BYTES - 2 * MG_PAGE);
	for (int i = 0; i < 2; i++)
		pthread_create(&writers[i], NULL, count_up, memory + i * 64);
	for (long i = 0; i < count; i++) {
		region = make(MG_CONTINUE, MG_ALIAS);
		CHECK(region > 0);
		CHECK(i % 2 == 0 || mg_protect(region, 0, BYTES, 1) == 0);
		CHECK(mg_region_end(region) == 0);
	}
	atomic_store(&is_over, true);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(writers[i], &failed) == 0 && failed == NULL);
	for (uint64_t i = 2 * MG_PAGE; i < BYTES; i++)
		CHECK(memory[i] == 0x77);
}

static atomic_long ticks;
static atomic_bool has_leaked, may_jump;
static sigjmp_buf jump;

static uint64_t flags_now(void)
{
	return __builtin_ia32_readeflags_u64();
}

static void on_tick(int signal)
{
	static volatile uint32_t *own;

	(void)signal;
	own = (uint32_t *)(memory + MG_PAGE);
	if (flags_now() & FLAG_TRAP)
		atomic_store(&has_leaked, true);
	own[0] = own[0] + 1; /* a guarded write of its own */
	atomic_fetch_add(&ticks, 1);
	if (atomic_load(&may_jump))
		siglongjmp(jump, 1);
}

static atomic_ulong progress;

/* One tick for each progress of the main thread, so that it is never drowned in them. */
static void *tick(void *main_thread)
{
	unsigned long seen = 0;

	while (!atomic_load(&is_over)) {
		if (atomic_load(&progress) == seen)
			continue;
		seen = atomic_load(&progress);
		pthread_kill(*(pthread_t *)main_thread, SIGPROF);
	}
	return NULL;
}

/* A profiler's ticks among the steps: no trap flag in its handler, none lost, none left behind. */
static void ticking(long count)
{
	struct sigaction action = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	pthread_t ticker, self = pthread_self();
	volatile uint64_t *word;
	uint64_t done = 0;

	setup(MG_CONTINUE, 0);
	word = (uint64_t *)memory;
	sigaction(SIGPROF, &action, NULL);
	CHECK(pthread_create(&ticker, NULL, tick, &self) == 0);
	while (atomic_load(&ticks) < count) {
		atomic_fetch_add(&progress, 1);
		__atomic_fetch_add(&word[0], 1, __ATOMIC_SEQ_CST);
		done++;
		CHECK(word[0] == done && !(flags_now() & FLAG_TRAP));
	}
	sigsetjmp(jump, 1);
	atomic_store(&may_jump, true);
	while (atomic_load(&ticks) < 2 * count) { /* now it does not come back from them */
		atomic_fetch_add(&progress, 1);
		__atomic_fetch_add(&word[1], 1, __ATOMIC_SEQ_CST);
	}
	atomic_store(&may_jump, false);
	atomic_store(&is_over, true);
	pthread_join(ticker, NULL);
	CHECK(!atomic_load(&has_leaked) && !(flags_now() & FLAG_TRAP));
	CHECK(mg_region_of(region)->pages[0].openers == 0);
	CHECK(is_closed(memory) && is_closed(memory + MG_PAGE));
}

static volatile long traps;

static void on_trap(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	traps += info->si_code == TRAP_TRACE;
}

/* Traps of a thread that traces itself over one store and its neighbours. */
static long traced(volatile uint32_t *word)
{
	traps = 0;
	__asm__ volatile("pushf; orl $0x100, (%%rsp); popf; nop; movl $1, (%0); lock addl $1, (%0); nop;"
			 "pushf; andl $~0x100, (%%rsp); popf; nop" : : "r"(word) : "memory", "cc");
	return traps;
}

/* Code that already runs under the trap flag goes on doing so. */
static void tracing(long count)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	uint32_t open = 0;
	long expected;

	(void)count;
	sigaction(SIGTRAP, &action, NULL);
	expected = traced(&open);
	CHECK(open == 2 && expected > 5);
	setup(MG_CONTINUE, 0);
	CHECK(traced((uint32_t *)memory) == expected);
	CHECK(((uint32_t *)memory)[0] == 2 && is_closed(memory));
	CHECK(mg_region_end(region) == 0);
	setup(MG_CONTINUE, MG_ALIAS);
	CHECK(traced((uint32_t *)memory + 1) == expected);
	CHECK(((uint32_t *)memory)[1] == 2 && is_closed(memory));
}

static ucontext_t broken;
static void *broken_at;

static void on_broken(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	memcpy(&broken, context, offsetof(ucontext_t, uc_sigmask) + 8);
	broken_at = info->si_addr;
	siglongjmp(jump, 1);
}

static void expect_broken(const void *at, const void *pc)
{
	uint64_t mask;

	memcpy(&mask, &broken.uc_sigmask, sizeof mask);
	CHECK(broken_at == at && mask == 0);
	CHECK(!(broken.uc_mcontext.gregs[REG_EFL] & FLAG_TRAP));
	CHECK(broken.uc_mcontext.gregs[REG_RIP] == (greg_t)pc);
	CHECK(is_closed(memory) && is_closed(memory + BYTES - MG_PAGE));
	for (int i = 0; i < PAGES; i++)
		CHECK(mg_region_of(region)->pages[i].openers == 0);
}

/* A step that faults elsewhere: the older handler finds all as if no step had been. */
static void breaking(long count)
{
	struct sigaction action = { .sa_sigaction = on_broken, .sa_flags = SA_SIGINFO };
	const unsigned flags[] = { 0, MG_ALIAS };
	uint8_t *end, *source = map(2 * MG_PAGE);
	void *volatile pc;

	(void)count;
	memory = map(BYTES + MG_PAGE);
	end = memory + BYTES;
	CHECK(mprotect(end, MG_PAGE, PROT_NONE) == 0);
	memset(source, 0x33, MG_PAGE);
	CHECK(mprotect(source + MG_PAGE, MG_PAGE, PROT_NONE) == 0);
	sigaction(SIGSEGV, &action, NULL);
	for (int i = 0; i < 2; i++) {
		setup(MG_CONTINUE, flags[i]);
		if (sigsetjmp(jump, 1) == 0) /* half of it in our last page */
			__asm__ volatile("lea 1f(%%rip), %%rcx; mov %%rcx, %0\n"
					 "1: lock addq $1, -4(%1)" : "=m"(pc) :
					 "r"(end) : "rcx", "memory");
		expect_broken(end, pc);
		if (sigsetjmp(jump, 1) == 0) { /* the source ends before the copy does */
			uint8_t *to = memory + 100, *from = source + MG_PAGE - 300;
			uint64_t bytes = 1000;

			__asm__ volatile("lea 1f(%%rip), %%rax; mov %%rax, %0\n1: rep movsb" :
					 "=m"(pc), "+D"(to), "+S"(from), "+c"(bytes) : : "rax", "memory");
		}
		expect_broken(source + MG_PAGE, pc);
		CHECK(broken.uc_mcontext.gregs[REG_RCX] == 700);
		CHECK(broken.uc_mcontext.gregs[REG_RDI] == (greg_t)(memory + 400));
		CHECK(memory[399] == 0x33 && memory[400] == 0);
		CHECK(mg_region_end(region) == 0);
		memset(memory, 0, BYTES);
	}
}

/* KiB after this word at the start of a line. Without stdio: ASan keeps what that has freed. */
static long kib_of(const char *path, const char *word)
{
	static char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t bytes = read(fd, text, sizeof text - 1);
	const char *found;

	CHECK(bytes > 0 && close(fd) == 0);
	text[bytes] = 0;
	found = strstr(text, word);
	CHECK(found != NULL);
	return strtol(found + strlen(word), NULL, 10);
}

/* Mapped, and in use but for pages of files, which the kernel brings in by the dozen. Counted page
   by page: what statm has may be off by dozens of pages a processor. */
static long kib_used(void)
{
	return kib_of("/proc/self/status", "\nVmSize:") +
	       kib_of("/proc/self/smaps_rollup", "\nAnonymous:");
}

static void write_many(long count)
{
	volatile uint32_t *words = (uint32_t *)memory;

	for (long i = 0; i < count; i++) {
		words[i % 200 * 10] = (uint32_t)i;
		__atomic_fetch_add(&words[2048 + i % 200 * 10], 1, __ATOMIC_SEQ_CST);
	}
}

/* Memory for each write would grow in every round; the C library, or the service thread when it
   looks around, takes a page now and then. */
static void growing(long count)
{
	const struct { enum mg_mode mode; unsigned flags; } ways[] = {
		{ MG_CONTINUE, 0 }, { MG_CONTINUE, MG_ALIAS }, { MG_DIVERT, 0 } };
	long least, before, grown;

	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		setup(ways[i].mode, ways[i].flags);
		write_many(200);
		least = LONG_MAX;
		for (int round = 0; round < GROWING_ROUNDS; round++) {
			before = kib_used();
			write_many(count);
			grown = kib_used() - before;
			least = grown < least ? grown : least;
		}
		CHECK(least <= 0);
		CHECK(faults() == 2 * (uint64_t)(200 + GROWING_ROUNDS * count));
		CHECK(mg_region_end(region) == 0);
	}
}

static void expect_refusal(void *at, size_t bytes, const char *part)
{
	struct mg_options options = { .mode = MG_CONTINUE, .flags = MG_ALIAS };

	CHECK(mg_region(at, bytes, &options, NULL) < 0);
	printf("%s\n", mg_problem());
	CHECK(strstr(mg_problem(), part) != NULL);
}

/* What cannot have an alias is refused with a sentence, and stays as it was. */
static void refusing(long count)
{
	uint8_t *shared = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint8_t *file = mmap(NULL, MG_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	uint8_t *holed = map(3 * MG_PAGE), stack[4 * MG_PAGE] = { 0 };

	(void)count;
	setup(MG_CONTINUE, 0);
	expect_refusal(shared, BYTES, "private memory");
	expect_refusal(file, MG_PAGE, "file's");
	CHECK(syscall(SYS_mlock, holed, MG_PAGE) == 0); /* mlock() does nothing under ASan */
	expect_refusal(holed, 3 * MG_PAGE, "locked");
	CHECK(munlock(holed, MG_PAGE) == 0);
	CHECK(munmap(holed + MG_PAGE, MG_PAGE) == 0);
	expect_refusal(holed, 3 * MG_PAGE, "");
	expect_refusal(stack, sizeof stack, "stack");
	expect_refusal(map(MG_PAGE), MG_PAGE / 2, "");
	shared[0] = file[0] = holed[0] = stack[0] = 1;
}

static const struct {
	const char *name;
	void (*run)(long count);
	long count;
} PROGRAMS[] = {
	{ "basic", basic, 0 }, { "hammer-alias", hammer_alias, 1000 },
	{ "hammer-step", hammer_step, 1000 }, { "hammer-turns", hammer_turns, 200 },
	{ "moving", moving, 200 },
	{ "ticking", ticking, 200 }, { "tracing", tracing, 0 }, { "breaking", breaking, 0 },
	{ "growing", growing, 300 }, { "refusing", refusing, 0 },
};

int main(int count, char **words)
{
	for (size_t i = 0; count >= 2 && i < sizeof PROGRAMS / sizeof *PROGRAMS; i++) {
		if (strcmp(words[1], PROGRAMS[i].name) != 0)
			continue;
		PROGRAMS[i].run(count > 2 ? strtol(words[2], NULL, 10) : PROGRAMS[i].count);
		return 0;
	}
	fprintf(stderr, "usage: step NAME [COUNT]\n");
	return 2;
}
