/*
 * File and line of every address from START to END, STEP bytes apart, of an ELF file.
 *
 * usage: line-numbers FILE START END STEP
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "inspect.h"

int main(int argc, char **argv)
{
	int fd = argc == 5 ? open(argv[1], O_RDONLY) : -1;
	struct stat status;
	const uint8_t *elf;

	if (fd < 0 || fstat(fd, &status) != 0)
		return 2;
	elf = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	for (uint64_t at = strtoull(argv[2], NULL, 16); at < strtoull(argv[3], NULL, 16);
	     at += strtoull(argv[4], NULL, 10)) {
		struct mg_frame frame = { 0 };

		mg_line(elf, (size_t)status.st_size, at, &frame);
		printf("0x%lx %s:%u\n", at, frame.file, frame.line);
	}
	return 0;
}
