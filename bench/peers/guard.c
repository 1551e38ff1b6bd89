/*
 * The guard's work by hand: what a C program pays that does no more than that.
 *
 *     guard step COUNT       a write into a protected page: the fault is caught, the page opened,
 *                            the instruction stepped over, the page closed again
 *     guard protect COUNT    two mprotect(2): the page is closed, and opened
 *
 * Prints {"ns": nanoseconds of one}. The handlers know whose page it is, and save nothing.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

#define PAGE 4096
#define WARM_UP 20000
#define TRAP_FLAG 0x100

static uint8_t *page;
static volatile long faults;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	ucontext_t *user = context;
	uint8_t *address = info->si_addr;

	(void)signal;
	if (address < page || address >= page + PAGE)
		abort();
	faults++;
	mprotect(page, PAGE, PROT_READ | PROT_WRITE);
	user->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int signal, siginfo_t *info, void *context)
{
	ucontext_t *user = context;

	(void)signal;
	(void)info;
	mprotect(page, PAGE, PROT_READ);
	user->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

static void catch(int signal, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {.sa_sigaction = handler};

	action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	sigaction(signal, &action, NULL);
}

static void step(long count)
{
	volatile uint8_t *bytes = page;

	for (long i = 0; i < count; i++)
		bytes[i & (PAGE - 1)] = (uint8_t)i;
}

static void toggle(long count)
{
	for (long i = 0; i < count; i++) {
		if (mprotect(page, PAGE, PROT_READ) < 0)
			abort();
		if (mprotect(page, PAGE, PROT_READ | PROT_WRITE) < 0)
			abort();
	}
}

static double cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
	long count = argc == 3 ? atol(argv[2]) : 0;
	int is_step = argc == 3 && strcmp(argv[1], "step") == 0;
	stack_t stack = {.ss_size = 131072};
	double started;

	if (count <= 0 || (!is_step && strcmp(argv[1], "protect") != 0)) {
		fprintf(stderr, "usage: guard step|protect COUNT\n");
		return 2;
	}
	stack.ss_sp = malloc(stack.ss_size);
	/* In the midst of more memory, as a page of an arena is: closing it makes three mappings. */
	page = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack.ss_sp == NULL || page == MAP_FAILED || sigaltstack(&stack, NULL) < 0)
		return 1;
	memset(page, 1, 16 * PAGE);
	page += 8 * PAGE;
	catch(SIGSEGV, on_fault);
	catch(SIGTRAP, on_step);
	if (is_step)
		mprotect(page, PAGE, PROT_READ);
	(is_step ? step : toggle)(WARM_UP);
	faults = 0;
	started = cpu_ns();
	(is_step ? step : toggle)(count);
	printf("{\"ns\":%.1f,\"faults\":%ld}\n", (cpu_ns() - started) / (double)count, faults);
	return 0;
}
