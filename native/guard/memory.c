/*
 * The guard's own memory, memory that cannot be guarded, and the sentence of the last failure.
 *
 * Own memory is mapped once, never given back and never guarded, so a handler that holds a stale
 * pointer into it reads old values and cannot fault.
 */
#include "core.h"

#include <sys/mman.h>

#define OWN_RANGES_MAX 8
#define TEXT_REGIONS_MAX 256

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

static bool is_own(uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < OWN_RANGES_MAX && own[i].bytes != 0; i++)
		if (start < own[i].start + own[i].bytes && own[i].start < end)
			return true;
	return false;
}

static bool is_stack(uint64_t start, uint64_t end)
{
	const struct mg_thread *thread;

	for (size_t i = 0; (thread = mg_thread_slot(i)) != NULL; i++)
		if (thread->tid != 0 && start < thread->stack_end && thread->stack_start < end)
			return true;
	return false;
}

/* Where only the text of the maps could tell, which costs with every mapping, it is read for the
   first regions alone: programs with thousands of them make them in one place. */
int mg_check_memory(uint64_t start, uint64_t end)
{
	uint64_t here = (uint64_t)__builtin_frame_address(0);
	struct mg_mapping mapping;

	if (is_own(start, end))
		return mg_fail(EFAULT, "the memory belongs to the guard itself");
	if (is_stack(start, end) || (here >= start && here < end))
		return mg_fail(EFAULT, "the stack of a thread lies there: no handler could run");
	for (uint64_t at = start; at < end; at = mapping.end) {
		int error = mg_mapping_at(at, mg_region_count() < TEXT_REGIONS_MAX, &mapping);

		if (error == -ENOTTY)
			return 0;
		if (error < 0)
			return mg_fail(EFAULT, "a part of the memory is not mapped");
		if (mapping.is_executable)
			return mg_fail(EFAULT, "there is code in the memory: it could not run");
		if (!mapping.is_readable || !mapping.is_writable)
			return mg_fail(EFAULT, "the memory is not both readable and writable");
	}
	return 0;
}
