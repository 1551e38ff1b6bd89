/*
 * The ground: reading memory that may not be there (the kernel answers EFAULT where a load would
 * fault), time, and who we are.
 */
#include "stack.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

HANDLER bool mg_read(uint64_t address, void *out, size_t bytes)
{
	struct iovec to = {out, bytes};
	struct iovec from = {(void *)address, bytes};

	return syscall(SYS_process_vm_readv, getpid(), &to, 1L, &from, 1L, 0L) == (long)bytes;
}

HANDLER uint64_t mg_now_ns(bool is_realtime)
{
	struct timespec now;

	clock_gettime(is_realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ul + (uint64_t)now.tv_nsec;
}

HANDLER int32_t mg_tid(void)
{
	return (int32_t)syscall(SYS_gettid);
}
