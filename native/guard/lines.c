/*
 * File and line of an address, from the .debug_line section of a mapped ELF file.
 */
#include "core.h"

HANDLER bool mg_line(const uint8_t *elf, size_t elf_bytes, uint64_t file_address,
		     struct mg_frame *frame)
{
	(void)elf; (void)elf_bytes; (void)file_address; (void)frame;
	return false;
}
