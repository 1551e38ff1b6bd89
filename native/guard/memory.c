/*
 * The guard's own memory, and the sentence of the last failure.
 *
 * Own memory is mapped once, never given back and never guarded, so a handler that holds a stale
 * pointer into it reads old values and cannot fault.
 */
#include "core.h"

#include <sys/mman.h>

#define OWN_RANGES_MAX 8

static __thread const char *problem_text;
static struct {
	uint64_t start, bytes;
} own[OWN_RANGES_MAX];

int mg_fail(int error, const char *problem)
{
	problem_text = problem;
	errno = error;
	return -error;
}

const char *mg_problem(void)
{
	return problem_text == NULL ? "" : problem_text;
}

void *mg_own_map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	for (size_t i = 0; memory != MAP_FAILED && i < OWN_RANGES_MAX; i++) {
		if (own[i].bytes != 0)
			continue;
		own[i].start = (uint64_t)memory;
		own[i].bytes = bytes;
		return memory;
	}
	return NULL;
}

bool mg_is_own(uint64_t start, uint64_t bytes)
{
	for (size_t i = 0; i < OWN_RANGES_MAX && own[i].bytes != 0; i++)
		if (start < own[i].start + own[i].bytes && own[i].start < start + bytes)
			return true;
	return false;
}
