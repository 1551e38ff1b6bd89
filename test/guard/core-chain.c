/*
 * Handlers beside the guard's: what was there before is called as the kernel would have called it,
 * and who comes above ours does not send us in a circle. One scenario an argument.
 */
#include "core.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uint8_t *closed;  /* a page without access that is none of the guard's */
static uint8_t *guarded; /* a page of the guard's */
static int region;
static struct sigaction found_above;
static sigjmp_buf back;
static volatile int calls;

static void say(const char *text)
{
	if (write(1, text, strlen(text)) < 0)
		_exit(9);
}

static bool is_blocked(int signal)
{
	sigset_t mask;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	return sigismember(&mask, signal);
}

static void open_closed(void)
{
	mprotect(closed, MG_PAGE, PROT_READ | PROT_WRITE);
}

/* Says what it was called with, and repairs. */
static void older_info(int signal, siginfo_t *info, void *context)
{
	const ucontext_t *registers = context;

	say(signal == SIGSEGV && info->si_addr == closed + 8 ? "older: address\n" : "older: ?\n");
	say(registers->uc_mcontext.gregs[REG_RIP] != 0 && info->si_code == SEGV_ACCERR ?
		    "older: context\n" : "older: ?\n");
	say(is_blocked(SIGSEGV) ? "older: SIGSEGV blocked\n" : "older: SIGSEGV open\n");
	say(is_blocked(SIGUSR2) ? "older: SIGUSR2 blocked\n" : "older: SIGUSR2 open\n");
	say(is_blocked(SIGUSR1) ? "older: SIGUSR1 blocked\n" : "older: SIGUSR1 open\n");
	calls++;
	open_closed();
}

static void older_plain(int signal)
{
	say(signal == SIGSEGV ? "plain older\n" : "plain older, another signal\n");
	open_closed();
}

static void older_jump(int signal)
{
	if (++calls > 1000)
		_exit(5); /* of a write that the guard has reported */
	siglongjmp(back, signal);
}

/* As other addons do: ours was there, so what they do not know is ours. */
static void above(int signal, siginfo_t *info, void *context)
{
	say("above\n");
	found_above.sa_sigaction(signal, info, context);
}

static void install(void (*with_info)(int, siginfo_t *, void *), void (*plain)(int), int flags)
{
	struct sigaction action = {.sa_flags = flags};

	if (with_info != NULL)
		action.sa_sigaction = with_info;
	else
		action.sa_handler = plain;
	sigaddset(&action.sa_mask, SIGUSR2);
	sigaction(SIGSEGV, &action, NULL);
}

static void start(void)
{
	static const struct mg_options OPTIONS = {.label = "mine"};

	if (mg_start() != 0 || mg_thread_enter("main", "test") != 0)
		exit(8);
	region = mg_region(guarded, MG_PAGE, &OPTIONS, NULL);
	if (region <= 0 || mg_protect(region, 0, MG_PAGE, 0) != 0)
		exit(8);
}

static void write_closed(void)
{
	closed[8] = 1;
	say("went on\n");
}

static void with_info(void)
{
	install(older_info, NULL, SA_SIGINFO);
	start();
	write_closed();
}

static void with_nodefer(void)
{
	install(older_info, NULL, SA_SIGINFO | SA_NODEFER);
	start();
	write_closed();
}

static void with_plain(void)
{
	install(NULL, older_plain, 0);
	start();
	write_closed();
}

static void with_reset(void)
{
	install(NULL, older_plain, SA_RESETHAND);
	start();
	write_closed();
	mprotect(closed, MG_PAGE, PROT_NONE);
	write_closed(); /* the default now: the process dies */
}

static void with_default(void)
{
	start();
	write_closed();
}

static void with_ignore(void)
{
	install(NULL, SIG_IGN, 0);
	start();
	raise(SIGSEGV); /* sent: ignored */
	say("went on\n");
	write_closed(); /* a fault cannot be ignored */
}

static void sent(void)
{
	start();
	kill(getpid(), SIGSEGV);
	say("went on\n");
}

/* Leaves the handler by a jump, as probes of memory do, again and again. */
static void with_jump(void)
{
	install(NULL, older_jump, SA_NODEFER);
	start();
	while (calls < 1000)
		if (sigsetjmp(back, 1) == 0)
			closed[8] = 1;
	say("jumped 1000 times\n");
	guarded[4] = 1;
}

static void with_above(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO, .sa_sigaction = above};
	uint8_t *memory = mmap(NULL, MG_PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static const struct mg_options OPTIONS = {.label = "second"};

	install(older_info, NULL, SA_SIGINFO);
	start();
	sigaction(SIGSEGV, &action, &found_above);
	write_closed(); /* above, then ours, then the older one */
	mprotect(closed, MG_PAGE, PROT_NONE);
	/* The next region puts ours on top: ours, above, ours, the older one. */
	if (mg_region(memory, MG_PAGE, &OPTIONS, NULL) <= 0)
		exit(7);
	write_closed();
	sigaction(SIGSEGV, NULL, &action);
	say(action.sa_sigaction == found_above.sa_sigaction ? "ours on top\n" : "not on top\n");
	for (int i = 0; i < 20; i++) { /* a known one is not stacked again and again */
		action = (struct sigaction){.sa_flags = SA_SIGINFO, .sa_sigaction = above};
		sigaction(SIGSEGV, &action, NULL);
		mg_region_end(mg_region(closed + MG_PAGE, MG_PAGE, &OPTIONS, NULL));
	}
	mprotect(closed, MG_PAGE, PROT_NONE);
	write_closed();
	guarded[4] = 1; /* ours alone, and then the way of all */
}

/* The fault is on its way to ours when the owner opens the page, or ends the region. */
static void open_first(int signal, siginfo_t *info, void *context)
{
	calls++;
	if (mg_unprotect(region, 0, MG_PAGE) != 0)
		_exit(6);
	found_above.sa_sigaction(signal, info, context);
}

static void end_first(int signal, siginfo_t *info, void *context)
{
	calls++;
	if (mg_region_end(region) != 0)
		_exit(6);
	found_above.sa_sigaction(signal, info, context);
}

static void write_late(void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {.sa_flags = SA_SIGINFO, .sa_sigaction = handler};

	install(NULL, older_plain, 0); /* has nothing to say here */
	start();
	sigaction(SIGSEGV, &action, &found_above);
	guarded[4] = 77;
	say(guarded[4] == 77 && calls == 1 ? "written\n" : "?\n");
}

static void opened(void)
{
	write_late(open_first);
}

static void ended(void)
{
	write_late(end_first);
}

static void trap(void)
{
	start();
	__asm__ volatile("int3");
	say("went on\n");
}

static void bus(void)
{
	char name[] = "/tmp/core-chain-XXXXXX";
	int fd = mkstemp(name);
	uint8_t *memory = mmap(NULL, MG_PAGE, 3, MAP_SHARED, fd, 0);

	unlink(name);
	start();
	memory[0] = 1;
	say("went on\n");
}

static volatile int sink;

static __attribute__((noinline)) int recurse(int depth)
{
	volatile uint8_t room[1024];

	room[depth & 1023] = (uint8_t)depth;
	sink += depth;
	return depth < 0 ? 0 : recurse(depth + 1) + room[(depth * 7) & 1023];
}

static void older_overflow(int signal, siginfo_t *info, void *context)
{
	stack_t stack;

	(void)signal;
	(void)info;
	(void)context;
	sigaltstack(NULL, &stack);
	say(stack.ss_flags & SS_ONSTACK ? "older: on another stack\n" : "older: same stack\n");
	_exit(3);
}

static void *overflow_thread(void *has_entered)
{
	if (has_entered != NULL)
		mg_thread_enter("deep", "test");
	recurse(1);
	return NULL;
}

static void overflow(void)
{
	pthread_t thread;

	install(older_overflow, NULL, SA_SIGINFO);
	start();
	pthread_create(&thread, NULL, overflow_thread, closed);
	pthread_join(thread, NULL);
}

static void overflow_plain(void)
{
	pthread_t thread;

	start();
	pthread_create(&thread, NULL, overflow_thread, NULL);
	pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} SCENARIOS[] = {
		{"info", with_info},       {"nodefer", with_nodefer}, {"plain", with_plain},
		{"reset", with_reset},     {"default", with_default}, {"ignore", with_ignore},
		{"sent", sent},            {"jump", with_jump},       {"above", with_above},
		{"trap", trap},            {"bus", bus},              {"overflow", overflow},
		{"overflow-plain", overflow_plain}, {"opened", opened}, {"ended", ended},
	};
	uint8_t *memory = mmap(NULL, 4 * MG_PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	closed = memory;
	guarded = memory + 3 * MG_PAGE;
	mprotect(closed, MG_PAGE, PROT_NONE);
	for (size_t i = 0; argc > 1 && i < sizeof SCENARIOS / sizeof SCENARIOS[0]; i++)
		if (strcmp(argv[1], SCENARIOS[i].name) == 0)
			SCENARIOS[i].run();
	return 0;
}
