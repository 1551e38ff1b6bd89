/*
 * Programs that write into guarded memory and go on; each ends with 0, or says what was wrong.
 * usage: step basic
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core.h"

#define PAGES 8

static uint8_t *memory;
static int region;

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

static void setup(enum mg_mode mode, unsigned flags)
{
	struct mg_options options = { .label = "data", .mode = mode, .flags = flags };
	struct mg_extent extent;

	memory = mmap(NULL, PAGES * MG_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	CHECK(memory != MAP_FAILED);
	CHECK(mg_start() == 0 && mg_thread_enter("main", "tester") == 0);
	region = mg_region(memory, PAGES * MG_PAGE, &options, &extent);
	CHECK(region > 0 && extent.bytes == PAGES * MG_PAGE);
	CHECK(mg_protect(region, 0, PAGES * MG_PAGE, 1) == 0);
}

static int basic(void)
{
	uint64_t *word = (uint64_t *)(memory + MG_PAGE - 4); /* over the border of two pages */

	setup(MG_CONTINUE, MG_ONCE);
	word = (uint64_t *)(memory + MG_PAGE - 4);
	*(volatile uint64_t *)word = 0x1122334455667788;
	CHECK(*word == 0x1122334455667788);
	__atomic_fetch_add((uint32_t *)memory + 1, 5, __ATOMIC_SEQ_CST);
	CHECK(((uint32_t *)memory)[1] == 5);
	memset(memory + 100, 7, 3 * MG_PAGE);
	CHECK(memory[99] == 0 && memory[100] == 7 && memory[99 + 3 * MG_PAGE] == 7);
	CHECK(memory[100 + 3 * MG_PAGE] == 0);
	CHECK(mg_region_of(region)->faults > 2);
	return 0;
}

int main(int count, char **words)
{
	if (count == 2 && strcmp(words[1], "basic") == 0)
		return basic();
	fprintf(stderr, "usage: step basic\n");
	return 2;
}
