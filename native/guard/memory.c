/*
 * The ground: reading without faulting, time, thread ids, the guard's own memory, and the sentence
 * of the last failure.
 *
 * All but mg_fail() and mg_own_map() may run in a handler: they are plain system calls (or the
 * vDSO's clock) and one thread-local load. Own memory is mapped once, never given back and never
 * guarded, so a handler that holds a stale pointer into it reads old values and cannot fault.
 */
#include "core.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define OWN_RANGES_MAX 8

static __thread const char *problem_text;
static struct {
	uint64_t start, bytes;
} own[OWN_RANGES_MAX];

bool mg_read(uint64_t address, void *out, size_t bytes)
{
	struct iovec to = {out, bytes};
	struct iovec from = {(void *)address, bytes};

	return syscall(SYS_process_vm_readv, getpid(), &to, 1L, &from, 1L, 0L) == (long)bytes;
}

uint64_t mg_now_ns(bool is_realtime)
{
	struct timespec now;

	clock_gettime(is_realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ul + (uint64_t)now.tv_nsec;
}

int32_t mg_tid(void)
{
	return (int32_t)syscall(SYS_gettid);
}

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
