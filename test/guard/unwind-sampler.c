/*
 * Compares the stack walk with libgcc's at random instructions of real code: the processor stops
 * after every instruction (the trap flag), and at some of them both walk.
 *
 * usage: unwind-sampler SEED ONE_IN: prints "compared N differ M" and up to ten differences.
 */
#define _GNU_SOURCE
#include <locale.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unwind.h>

#include "inspect.h"

static struct mg_frame frames[MG_FRAMES_MAX];
static uint64_t seed = 1;
static uint32_t one_in = 97, compared, differ, instructions;
static uint64_t deepest;

struct theirs {
	uint64_t pc[MG_FRAMES_MAX * 2];
	uint32_t count;
};

static uint32_t random_below(uint32_t end)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % end;
}

static _Unwind_Reason_Code add(struct _Unwind_Context *context, void *argument)
{
	struct theirs *theirs = argument;

	if (theirs->count == MG_FRAMES_MAX * 2)
		return _URC_END_OF_STACK;
	theirs->pc[theirs->count++] = _Unwind_GetIP(context);
	return _URC_NO_REASON;
}

static void compare(const ucontext_t *context)
{
	struct theirs theirs = { .count = 0 };
	uint32_t count, skip = 0;
	bool same;

	count = mg_unwind(context, frames, MG_FRAMES_MAX);
	_Unwind_Backtrace(add, &theirs);
	while (skip < theirs.count && theirs.pc[skip] != frames[0].pc)
		skip++;
	/* libgcc ends with a frame of pc 0. */
	if (theirs.count > skip && theirs.pc[theirs.count - 1] == 0)
		theirs.count--;
	same = theirs.count - skip == count;
	for (uint32_t i = 0; i < count && same; i++)
		same = theirs.pc[skip + i] == frames[i].pc;
	compared++;
	deepest = count > deepest ? count : deepest;
	if (same || ++differ > 10)
		return;
	printf("ours %u frames, libgcc %u:\n", count, theirs.count - skip);
	for (uint32_t i = 0; i < count || skip + i < theirs.count; i++)
		printf("  0x%lx %s+0x%lx %s\t0x%lx\n", i < count ? frames[i].pc : 0,
		       i < count ? frames[i].module : "", i < count ? frames[i].module_offset : 0,
		       i < count ? frames[i].function : "",
		       skip + i < theirs.count ? theirs.pc[skip + i] : 0);
}

static void on_trap(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	instructions++;
	if (random_below(one_in) == 0)
		compare(context);
}

/* The instruction behind popf is the first that traps. */
#define WITH_FLAGS(name, change) \
	void name(void); \
	__asm__(".text\n .type " #name ", @function\n" #name ": .cfi_startproc\n" \
		"pushf\n .cfi_adjust_cfa_offset 8\n" change "\n" \
		"popf\n .cfi_adjust_cfa_offset -8\n ret\n" \
		".cfi_endproc\n .size " #name ", . - " #name "\n")
WITH_FLAGS(start_stepping, "orq $0x100, (%rsp)");
WITH_FLAGS(stop_stepping, "andq $~0x100, (%rsp)");

static int by_value(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Calls for the first time: their addresses are still to be found, through the PLT's own code. */
static double first_calls(void)
{
	return cbrt(8.0) + (double)strtoul("17", NULL, 10) + (getenv("NOTHING") == NULL);
}

static double work(void)
{
	char text[512], *end;
	int values[40], length;
	regex_t expression;
	regmatch_t match[3];
	void *memory[20];
	time_t now = 1000000000;
	struct timespec clock;
	struct tm parts;

	clock_gettime(CLOCK_MONOTONIC, &clock); /* in the vDSO */
	for (int i = 0; i < 40; i++)
		values[i] = (i * 7919) % 101;
	qsort(values, 40, sizeof values[0], by_value);
	length = snprintf(text, sizeof text, "%d %s %10.4f %lx %Lf", values[3], "text", 3.25, 77ul,
			  (long double)1e10);
	regcomp(&expression, "([a-z]+) +([0-9]+\\.[0-9]*)|x{2,5}", REG_EXTENDED);
	regexec(&expression, text, 3, match, 0);
	regfree(&expression);
	for (int i = 0; i < 20; i++)
		memory[i] = calloc(1, (size_t)(i * i * 37 + 1));
	for (int i = 0; i < 20; i++)
		free(memory[(i * 7) % 20]);
	strftime(text, sizeof text, "%Y-%m-%d %A %H:%M", gmtime_r(&now, &parts));
	setlocale(LC_ALL, "C");
	return strtod("1.2345678901234567e-12", &end) + sin(length) + pow(1.5, length) + *end;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	struct theirs warm = { .count = 0 };
	double sum;

	if (argc > 2) {
		seed = strtoull(argv[1], NULL, 10);
		one_in = (uint32_t)atoi(argv[2]);
	}
	mg_symbols_start();
	_Unwind_Backtrace(add, &warm);
	sigaction(SIGTRAP, &action, NULL);
	start_stepping();
	sum = work();
	stop_stepping();
	one_in = 1;
	start_stepping();
	sum += first_calls();
	stop_stepping();
	printf("compared %u differ %u of %u instructions, deepest %lu, sum %g\n", compared, differ,
	       instructions, deepest, sum);
	return differ != 0;
}
