/*
 * What memory cannot be guarded, and why: code, stacks, memory that is not mapped or not writable.
 *
 * Ordinary code. Kernels from 6.11 on are asked for one mapping at a time (PROCMAP_QUERY); older
 * ones have only the text of /proc/self/maps, whose reading costs with every mapping: it is read
 * for the first regions alone, because programs with thousands of them make them in one place.
 */
#include "core.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TEXT_REGIONS_MAX 256

/* struct procmap_query of <linux/fs.h>, which build machines may not have yet */
struct query {
	uint64_t size, flags, address, start, end, vma_flags, rest[7];
};
#define QUERY_MAPPING _IOWR('f', 17, struct query)
#define READABLE 1u
#define WRITABLE 2u
#define EXECUTABLE 4u

static int maps_fd = -1; /* of this process: after fork() another one */

void mg_maps_forked(void)
{
	if (maps_fd >= 0)
		close(maps_fd);
	maps_fd = -1;
}

static int query_text(struct query *query)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512], read, write, run;
	int found = -ENOENT;

	while (file != NULL && found < 0 && fgets(line, sizeof line, file) != NULL) {
		if (sscanf(line, "%lx-%lx %c%c%c", &query->start, &query->end, &read, &write,
			   &run) != 5 || query->end <= query->address)
			continue;
		found = query->start <= query->address ? 0 : -ENOENT;
		query->vma_flags = (read == 'r' ? READABLE : 0) | (write == 'w' ? WRITABLE : 0) |
				   (run == 'x' ? EXECUTABLE : 0);
		if (found < 0)
			break;
	}
	if (file != NULL)
		fclose(file);
	return found;
}

/* The mapping of an address; -ENOENT: none, -ENOTTY: the kernel is not asked. */
static int query_at(uint64_t address, struct query *query)
{
	*query = (struct query){.size = sizeof *query, .address = address};
	if (maps_fd < 0)
		maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (maps_fd < 0 || ioctl(maps_fd, QUERY_MAPPING, query) == 0)
		return maps_fd < 0 ? -ENOTTY : 0;
	if (errno == ENOENT)
		return -ENOENT;
	return mg_region_count() < TEXT_REGIONS_MAX ? query_text(query) : -ENOTTY;
}

static bool is_stack(uint64_t start, uint64_t end)
{
	const struct mg_thread *thread;

	for (size_t i = 0; (thread = mg_thread_slot(i)) != NULL; i++)
		if (thread->tid != 0 && start < thread->stack_end && thread->stack_start < end)
			return true;
	return false;
}

int mg_check_memory(uint64_t start, uint64_t end)
{
	uint64_t here = (uint64_t)__builtin_frame_address(0);
	struct query query;
	int error;

	if (mg_is_own(start, end - start))
		return mg_fail(EFAULT, "the memory belongs to the guard itself");
	if (is_stack(start, end) || (here >= start && here < end))
		return mg_fail(EFAULT, "the stack of a thread lies there: no handler could run");
	for (uint64_t at = start; at < end; at = query.end) {
		error = query_at(at, &query);
		if (error == -ENOTTY)
			return 0;
		if (error < 0)
			return mg_fail(EFAULT, "a part of the memory is not mapped");
		if (query.vma_flags & EXECUTABLE)
			return mg_fail(EFAULT, "there is code in the memory: it could not run");
		if ((query.vma_flags & (READABLE | WRITABLE)) != (READABLE | WRITABLE))
			return mg_fail(EFAULT, "the memory is not both readable and writable");
	}
	return 0;
}
