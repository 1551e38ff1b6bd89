/*
 * The ground: reading memory that may not be there (the kernel answers EFAULT where a load would
 * fault), time, and who we are.
 */
#include "inspect.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define WINDOW_BYTES sizeof(windows->bytes[0])

static __thread struct mg_windows *windows;

HANDLER bool mg_read_now(uint64_t address, void *out, size_t bytes)
{
	struct iovec to = {out, bytes};
	struct iovec from = {(void *)address, bytes};

	return syscall(SYS_process_vm_readv, getpid(), &to, 1L, &from, 1L, 0L) == (long)bytes;
}

HANDLER bool mg_read(uint64_t address, void *out, size_t bytes)
{
	uint64_t page = address / WINDOW_BYTES, at = address % WINDOW_BYTES;
	uint64_t slot = page % MG_WINDOWS;

	if (windows == NULL || bytes > WINDOW_BYTES - at)
		return mg_read_now(address, out, bytes);
	if (windows->page[slot] != page) {
		windows->page[slot] = 0;
		if (page == 0 || !mg_read_now(address - at, windows->bytes[slot], WINDOW_BYTES))
			return mg_read_now(address, out, bytes);
		windows->page[slot] = page;
	}
	memcpy(out, windows->bytes[slot] + at, bytes);
	return true;
}

HANDLER void mg_windows_use(struct mg_windows *own)
{
	if (own != NULL)
		memset(own->page, 0, sizeof own->page);
	windows = own;
}

HANDLER struct mg_walk *mg_last_walk(void)
{
	return windows == NULL ? NULL : &windows->walk;
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
