/*
 * What mapping an address lies in.
 *
 * Ordinary code. Kernels from 6.11 on are asked for one mapping at a time (PROCMAP_QUERY); older
 * ones have only the text of /proc/self/maps, whose reading costs with every mapping.
 */
#include "inspect.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* struct procmap_query of <linux/fs.h>, which build machines may not have yet */
struct query {
	uint64_t size, flags, address, start, end, vma_flags, rest[7];
};
#define QUERY_MAPPING _IOWR('f', 17, struct query)

static int maps_fd = -1; /* of this process: after fork() another one */

void mg_maps_forked(void)
{
	if (maps_fd >= 0)
		close(maps_fd);
	maps_fd = -1;
}

/* False: the line is none of a mapping. */
static bool parse(const char *line, struct mg_mapping *mapping)
{
	struct mg_mapping it = { 0 };
	char access[8];

	if (sscanf(line, "%lx-%lx %4s %*x %*s %lu %63s", &it.start, &it.end, access, &it.inode,
		   it.name) < 4)
		return false;
	it.is_readable = access[0] == 'r';
	it.is_writable = access[1] == 'w';
	it.is_executable = access[2] == 'x';
	it.is_shared = access[3] == 's';
	*mapping = it;
	return true;
}

int mg_mapping_at(uint64_t address, bool may_read_text, struct mg_mapping *mapping)
{
	struct query query = { .size = sizeof query, .address = address };
	char line[512];
	FILE *file;

	if (maps_fd < 0)
		maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (maps_fd < 0)
		return -ENOTTY;
	*mapping = (struct mg_mapping){ 0 };
	if (ioctl(maps_fd, QUERY_MAPPING, &query) == 0) {
		mapping->start = query.start;
		mapping->end = query.end;
		mapping->is_readable = query.vma_flags & 1;
		mapping->is_writable = query.vma_flags & 2;
		mapping->is_executable = query.vma_flags & 4;
		return 0;
	}
	if (errno == ENOENT)
		return -ENOENT;
	file = may_read_text ? fopen("/proc/self/maps", "re") : NULL;
	if (file == NULL)
		return may_read_text ? -ENOENT : -ENOTTY;
	while (mapping->end <= address && fgets(line, sizeof line, file) != NULL)
		parse(line, mapping);
	fclose(file);
	return mapping->start <= address && address < mapping->end ? 0 : -ENOENT;
}

const char *mg_mappings_look(uint64_t start, uint64_t bytes,
			     const char *(*complain)(const struct mg_mapping *))
{
	const char *problem = "the memory is not mapped";
	FILE *maps = fopen("/proc/self/smaps", "re");
	struct mg_mapping it = { 0 };
	uint64_t next = start;
	char line[512];

	if (maps == NULL)
		return "/proc/self/smaps cannot be read";
	while (next < start + bytes && fgets(line, sizeof line, maps) != NULL) {
		parse(line, &it);
		if (strncmp(line, "VmFlags:", 8) != 0 || it.end <= next)
			continue;
		if (it.start > next)
			break;
		snprintf(it.flags, sizeof it.flags, "%.250s", line + 8);
		problem = complain(&it);
		if (problem != NULL)
			break;
		next = it.end;
	}
	fclose(maps);
	return next >= start + bytes ? NULL : problem != NULL ? problem : "the memory has holes";
}
