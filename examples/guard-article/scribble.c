/*
 * Who writes into my memory? The program of the article, with the guard.
 *
 * A cache keeps its data in 8 pages and write-protects 4 of them, 4 to 7. Elsewhere somebody
 * computes a place, is wrong, and writes 50 bytes into the fifth page. Without the guard this
 * works, and the data are wrong; with mprotect alone the process dies, and nobody knows of what.
 * Here the first line that it prints is
 *
 *     segmentation fault at 0x7f..: scribble (scribble.c:31) wrote 1 byte at offset 16384 of ..
 *
 * Build and run, after `npm run build`:
 *
 *     cc -g -O1 -I native/guard examples/guard-article/scribble.c -o scribble \
 *        -L build -lmillrace-guard -Wl,-rpath,"$PWD/build" && ./scribble
 */
#include "millrace-guard.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096
#define PAGES 8

/* The bug: 50 bytes, in the wrong place. */
__attribute__((noinline)) static void scribble(char *memory, int page)
{
	char *target = memory + page * PAGE;

	for (int i = 0; i < 50; i++)
		target[i] = (char)i; /* the culprit's line */
}

__attribute__((noinline)) static void work(char *memory)
{
	for (int page = 0; page < PAGES; page++)
		if (page % 5 == 4)
			scribble(memory, page);
	puts("not reached");
}

int main(void)
{
	struct mg_options options = { .label = "cache", .mode = MG_REPORT };
	struct mg_extent extent;
	char *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int region;

	if (memory == MAP_FAILED)
		return 1;
	memset(memory, 1, PAGES * PAGE);
	if (mg_start() < 0 || mg_thread_enter("main", "") < 0 ||
	    (region = mg_region(memory, PAGES * PAGE, &options, &extent)) < 0 ||
	    mg_protect(region, 4 * PAGE, 4 * PAGE, 1) < 0) {
		fprintf(stderr, "scribble: %s\n", mg_problem());
		return 1;
	}
	work(memory);
	return 0;
}
