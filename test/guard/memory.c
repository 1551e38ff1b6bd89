/*
 * Guarded allocations, from C: one scenario a run. Facts go to stdout, one a line; the reports, as
 * JSON, to the file in $REPORT.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core.h"

static volatile size_t hundred = 100;

static __attribute__((noinline)) void copy_too_much(char *to, size_t bytes)
{
	static const char zeros[8192];

	memcpy(to, zeros, bytes);
	__asm__ volatile("" ::: "memory");
}

static __attribute__((noinline)) void write_at(char *at, char value)
{
	*(volatile char *)at = value;
}

static __attribute__((noinline)) char read_at(const char *at)
{
	return *(const volatile char *)at;
}

static void *take(size_t bytes, int align, const char *label)
{
	void *memory = mg_alloc(bytes, align, label);

	if (memory == NULL) {
		printf("refused: %s\n", mg_problem());
		exit(1);
	}
	return memory;
}

/* Whether the page is mapped at all: mincore() says ENOMEM of what is not. */
static int is_mapped(const void *at)
{
	unsigned char resident;

	return mincore((void *)((uint64_t)at & -MG_PAGE), MG_PAGE, &resident) == 0;
}

static void say(const char *what, long value)
{
	printf("%s %ld\n", what, value);
	fflush(stdout);
}

static void ring(size_t count, size_t bytes)
{
	char *first = take(1, 1, "first"), *second = take(bytes, 1, "second");

	mg_free(first);
	mg_free(second);
	for (size_t i = 0; i < count; i++)
		if (mg_free(take(bytes, 1, "one of many")) != 0)
			say("failed at", (long)i);
	say("first is mapped", is_mapped(first));
	say("second is mapped", is_mapped(second));
	say("first has a region", mg_region_at((uint64_t)first) != NULL);
	if (mg_region_at((uint64_t)second) != NULL)
		read_at(second);
}

static __attribute__((noinline)) void fences(void)
{
	char *memory = take(101, 8, "fenced");

	say("address % 8", (long)((uint64_t)memory % 8));
	say("to the page's end", (long)(-(uint64_t)memory % MG_PAGE));
	say("whole", mg_check(memory));
	write_at(memory - 1, 1);
	write_at(memory + 101, 2);
	write_at(memory + 103, 3);
	say("broken", mg_check(memory));
	say("mended", mg_check(memory));
	write_at(memory - 3990, 4);
	say("broken at free", mg_free(memory));
	say("freed again", mg_free(memory));
	say("checked after", mg_check(memory));
}

static void refusals(void)
{
	char *memory = take(hundred, 1, "live");
	struct mg_options options = { .label = "inside" };
	int region;

	say("inside", mg_free(memory + 8));
	say("null", mg_free(NULL));
	say("stack", mg_free(&memory));
	say("no bytes", mg_alloc(0, 1, "none") == NULL);
	say("align 3", mg_alloc(8, 3, "odd") == NULL);
	say("align -8", mg_alloc(8, -8, "negative") == NULL);
	say("too many", mg_alloc(SIZE_MAX - 100, 1, "huge") == NULL);
	memory = take(3 * MG_PAGE, 0, "protected");
	region = mg_region(memory, 3 * MG_PAGE, &options, NULL);
	say("a guard inside", region > 0);
	say("free while guarded", mg_free(memory));
	say("end", mg_region_end(region));
	say("free after", mg_free(memory));
}

int main(int count, char **words)
{
	const char *name = count > 1 ? words[1] : "";
	char *memory;

	if (mg_start() < 0 || mg_report_file(getenv("REPORT")) < 0) {
		printf("refused: %s\n", mg_problem());
		return 1;
	}
	if (strcmp(name, "overrun") == 0) {
		copy_too_much(take(hundred, 1, "session"), hundred + 3);
	} else if (strcmp(name, "overrun-far") == 0) {
		write_at((char *)take(hundred, 1, "session") + 100 + 4000, 1);
	} else if (strcmp(name, "underrun") == 0) {
		write_at((char *)take(hundred, 0, "session") - 3, 1);
	} else if (strcmp(name, "read") == 0) {
		read_at((char *)take(hundred, 1, "session") + 100);
	} else if (strcmp(name, "freed") == 0) {
		memory = take(hundred, 1, "session");
		mg_free(memory);
		write_at(memory + 7, 1);
	} else if (strcmp(name, "fences") == 0) {
		fences();
	} else if (strcmp(name, "refusals") == 0) {
		refusals();
	} else if (strcmp(name, "ring-count") == 0) {
		ring(4095, 1);
	} else if (strcmp(name, "ring-bytes") == 0) {
		ring(3, 64 << 20);
	}
	return 0;
}
