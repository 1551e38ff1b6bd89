/*
 * Damaged stacks: random registers over memory with words that look like frames. The walk must end,
 * within the frames it was given, whatever it finds; under ASan and UBSan.
 *
 * usage: fuzz-stack SEED ROUNDS
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "inspect.h"

enum { WORDS = 512 };

static struct mg_frame frames[MG_FRAMES_MAX + 1];
static uint64_t seed, longest;

static uint64_t random_word(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return seed ^ seed >> 29;
}

int main(int argc, char **argv);

static uint64_t some_word(const uint64_t *stack, const uint8_t *made)
{
	switch (random_word() % 6) {
	case 0: return (uint64_t)(uintptr_t)main + random_word() % 4096;
	case 1: return (uint64_t)(uintptr_t)qsort + random_word() % 65536;
	case 2: return (uint64_t)(uintptr_t)made + random_word() % 4096;
	case 3: return random_word() % 3 == 0 ? random_word() : random_word() % 4096;
	default: return (uint64_t)(uintptr_t)stack + random_word() % (WORDS * 8 + 64) / 8 * 8;
	}
}

static void walk(const ucontext_t *context, uint32_t max)
{
	uint32_t count;

	memset(&frames[max], 0x55, sizeof frames[0]);
	count = mg_unwind(context, frames, max);
	if (count == 0 || count > max)
		abort();
	for (size_t i = 0; i < sizeof frames[0]; i++)
		if (((uint8_t *)&frames[max])[i] != 0x55)
			abort();
	longest = count > longest ? count : longest;
}

int main(int argc, char **argv)
{
	uint64_t rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000;
	uint64_t *stack = mmap(NULL, WORDS * 8, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *made = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ucontext_t context;

	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	memset(&context, 0, sizeof context);
	mg_symbols_start();
	for (uint64_t round = 0; round < rounds; round++) {
		for (int i = 0; i < WORDS; i++)
			stack[i] = some_word(stack, made);
		for (int i = 0; i < NGREG; i++)
			context.uc_mcontext.gregs[i] = (greg_t)some_word(stack, made);
		context.uc_mcontext.gregs[REG_RSP] = (greg_t)(stack + random_word() % 64);
		walk(&context, 1 + random_word() % MG_FRAMES_MAX);
	}
	/* A frame pointer that leads to itself, and two that lead to each other. */
	for (uint64_t i = 0; i < WORDS; i += 2) {
		stack[i] = (uint64_t)(uintptr_t)(stack + (i ^ 2));
		stack[i + 1] = (uint64_t)(uintptr_t)made + 16;
	}
	context.uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)made;
	context.uc_mcontext.gregs[REG_RSP] = (greg_t)(uintptr_t)stack;
	context.uc_mcontext.gregs[REG_RBP] = (greg_t)(uintptr_t)stack;
	walk(&context, MG_FRAMES_MAX);
	stack[0] = (uint64_t)(uintptr_t)stack;
	walk(&context, MG_FRAMES_MAX);
	printf("done, the longest of %lu frames\n", longest);
	return 0;
}
