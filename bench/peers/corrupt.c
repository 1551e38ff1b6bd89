/*
 * A program that works on a buffer and then writes one byte behind it, once.
 *
 *     corrupt malloc ROUNDS              for valgrind's memcheck
 *     corrupt LIBRARY ROUNDS             the buffer is LIBRARY's (libmillrace-guard.so)
 *
 * A round goes through all of the buffer byte by byte; each step needs the one before, so that the
 * compiler cannot do many at once. Writes the sum, so that it must be computed.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES 65536

static void *guarded(const char *library)
{
	void *door = dlopen(library, RTLD_NOW);
	void *(*alloc)(size_t, int, const char *);
	int (*start)(void);

	if (door == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return NULL;
	}
	*(void **)&start = dlsym(door, "mg_start");
	*(void **)&alloc = dlsym(door, "mg_alloc");
	if (start == NULL || alloc == NULL || start() < 0)
		return NULL;
	return alloc(BYTES, 1, "the buffer");
}

static uint32_t work(volatile uint8_t *bytes, uint32_t sum)
{
	for (size_t i = 0; i < BYTES; i++) {
		sum = sum * 31 + bytes[i];
		bytes[i] = (uint8_t)sum;
	}
	return sum;
}

__attribute__((noinline)) static void write_behind(volatile uint8_t *bytes, size_t index)
{
	bytes[index] = 1; /* the bug */
}

int main(int argc, char **argv)
{
	long rounds = argc == 3 ? atol(argv[2]) : 0;
	uint32_t sum = 1;
	uint8_t *bytes;

	if (rounds <= 0) {
		fprintf(stderr, "usage: corrupt malloc|LIBRARY ROUNDS\n");
		return 2;
	}
	bytes = strcmp(argv[1], "malloc") == 0 ? malloc(BYTES) : guarded(argv[1]);
	if (bytes == NULL)
		return 1;
	memset(bytes, 1, BYTES);
	for (long i = 0; i < rounds; i++)
		sum = work(bytes, sum);
	printf("%u\n", sum);
	fflush(stdout);
	write_behind(bytes, BYTES);
	return 0;
}
