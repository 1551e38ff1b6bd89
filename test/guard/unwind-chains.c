/*
 * Known call chains for the stack walk: each command ends in stop_here(), whose SIGTRAP walks the
 * stack and prints a frame a line: module<TAB>offset<TAB>function<TAB>file:line.
 */
#include <dlfcn.h>
#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core.h"

#define APART __attribute__((noinline, noclone))

static struct mg_frame frames[MG_FRAMES_MAX];
static volatile int sink;

static void on_trap(int number, siginfo_t *info, void *context)
{
	uint32_t count = mg_unwind(context, frames, MG_FRAMES_MAX);

	(void)number;
	(void)info;
	for (uint32_t i = 0; i < count; i++)
		printf("%s\t0x%lx\t%s\t%s:%u\n", frames[i].module, frames[i].module_offset,
		       frames[i].function, frames[i].file, frames[i].line);
	fflush(stdout);
	_exit(0);
}

APART void stop_here(void) { __asm__ volatile("int3" ::: "memory"); sink++; }
APART void inner(int n) { stop_here(); sink += n; }
APART static void in_the_middle(int n) { inner(n + 1); sink += n; }
APART void outer(int n) { in_the_middle(n * 2); sink += n; }

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

	(void)argc; (void)argv;
	mg_symbols_start();
	sigaction(SIGTRAP, &action, NULL);
	outer(argc);
	return 0;
}
