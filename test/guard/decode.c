/*
 * Reads one instruction a line (hexadecimal bytes), prints what the guard's decoder makes of it:
 * length, "w" or "-", width. The node test beside compares that with objdump.
 */
#include <stdio.h>
#include <stdlib.h>

#include "inspect.h"

static size_t from_hex(const char *text, uint8_t *bytes, size_t max)
{
	size_t count = 0;
	unsigned value;

	while (count < max && sscanf(text + 2 * count, "%2x", &value) == 1)
		bytes[count++] = (uint8_t)value;
	return count;
}

int main(void)
{
	char line[256];
	uint8_t bytes[16];
	struct mg_insn insn;

	while (fgets(line, sizeof line, stdin) != NULL) {
		mg_decode(bytes, from_hex(line, bytes, sizeof bytes), &insn);
		printf("%d %c %d\n", insn.length, insn.is_write ? 'w' : '-', insn.width);
	}
	return 0;
}
