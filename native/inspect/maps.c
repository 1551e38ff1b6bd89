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

static int find_in_text(uint64_t address, struct mg_mapping *mapping)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512], read, write, run;
	int found = -ENOENT;

	mapping->end = 0;
	while (file != NULL && mapping->end <= address && fgets(line, sizeof line, file) != NULL)
		if (sscanf(line, "%lx-%lx %c%c%c", &mapping->start, &mapping->end, &read, &write,
			   &run) == 5 && mapping->start <= address && address < mapping->end)
			found = 0;
	if (found == 0)
		*mapping = (struct mg_mapping){ mapping->start, mapping->end, read == 'r',
						write == 'w', run == 'x' };
	if (file != NULL)
		fclose(file);
	return found;
}

int mg_mapping_at(uint64_t address, bool may_read_text, struct mg_mapping *mapping)
{
	struct query query = { .size = sizeof query, .address = address };

	if (maps_fd < 0)
		maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	if (maps_fd < 0)
		return -ENOTTY;
	if (ioctl(maps_fd, QUERY_MAPPING, &query) == 0) {
		*mapping = (struct mg_mapping){ query.start, query.end, query.vma_flags & 1,
						query.vma_flags & 2, query.vma_flags & 4 };
		return 0;
	}
	if (errno == ENOENT)
		return -ENOENT;
	return may_read_text ? find_in_text(address, mapping) : -ENOTTY;
}
