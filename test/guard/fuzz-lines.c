/*
 * Garbage in symbol tables and line programs, under ASan and UBSan. The program's own sections are
 * packed into a small ELF file that ends, in turn, with each of them, so that the first byte that
 * is read too much is behind the allocation.
 *
 * usage: fuzz-lines SEED ROUNDS
 */
#include "symbols.c"

#include "lines.c"

#include <stdio.h>
#include <stdlib.h>

enum { PARTS = 7, NAMES_BYTES = 128 };

static const char *const part_names[PARTS] = {
	".debug_line", ".debug_line_str", ".debug_str", ".symtab", ".strtab", ".dynsym", ".dynstr",
};

static uint64_t seed;

static uint64_t random_word(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return seed ^ seed >> 29;
}

/* A file of these sections, part `last` at its end. */
static uint8_t *pack(const uint8_t *elf, size_t bytes, int last, size_t *packed_bytes)
{
	Elf64_Ehdr header = { .e_shoff = sizeof header, .e_shentsize = sizeof(Elf64_Shdr),
			      .e_shnum = PARTS + 2, .e_shstrndx = 1 };
	Elf64_Shdr sections[PARTS + 2] = { 0 };
	size_t at = sizeof header + sizeof sections + NAMES_BYTES, size, name_at = 1;
	uint8_t *out = calloc(1, bytes + at);

	memcpy(header.e_ident, ELFMAG, SELFMAG);
	sections[1] = (Elf64_Shdr){ .sh_type = SHT_STRTAB, .sh_size = NAMES_BYTES,
				    .sh_offset = at - NAMES_BYTES };
	for (int i = 0; i < PARTS; i++) {
		int part = (last + 1 + i) % PARTS;
		const uint8_t *data = mg_section(elf, bytes, part_names[part], &size);

		if (data == NULL) {
			printf("no %s\n", part_names[part]);
			exit(2);
		}
		memcpy(out + at, data, size);
		sections[part + 2] = (Elf64_Shdr){ .sh_type = SHT_PROGBITS, .sh_offset = at,
						   .sh_size = size, .sh_name = (uint32_t)name_at };
		strcpy((char *)out + sections[1].sh_offset + name_at, part_names[part]);
		name_at += strlen(part_names[part]) + 1;
		at += size;
	}
	memcpy(out, &header, sizeof header);
	memcpy(out + sizeof header, sections, sizeof sections);
	*packed_bytes = at;
	return realloc(out, at);
}

static void ask(const uint8_t *elf, size_t bytes, uint64_t address)
{
	struct mg_frame frame = { 0 };
	const char *name = best_symbol(elf, bytes, ".symtab", ".strtab", address);

	if (name == NULL)
		name = best_symbol(elf, bytes, ".dynsym", ".dynstr", address);
	if (name != NULL)
		mg_demangle(name, frame.function, sizeof frame.function);
	mg_line(elf, bytes, address, &frame);
	if (strnlen(frame.function, sizeof frame.function) == sizeof frame.function ||
	    strnlen(frame.file, sizeof frame.file) == sizeof frame.file)
		abort();
}

static void damage(uint8_t *elf, size_t bytes, uint64_t round)
{
	/* Headers, or the part at the end, or its beginning: where the tables stand. */
	size_t from = round % 4 == 0 ? 0 : round % 4 == 1 ? bytes - bytes / 8 : random_word() % bytes;
	size_t reach = round % 4 == 0 ? sizeof(Elf64_Ehdr) + 9 * sizeof(Elf64_Shdr) : bytes - from;
	uint64_t words[] = { 0, 0xff, 0x7f, 0x80, 0xffffffff, UINT64_MAX, random_word(), 1 };
	uint64_t word = words[random_word() % 8];
	size_t at = from + random_word() % reach, width = 1 + random_word() % 8;

	memcpy(elf + at, &word, at + width <= bytes ? width : bytes - at);
}

/* The last part ends a few bytes earlier, and so does the allocation: what counts its own bytes, as
   a unit of line programs does, must not be believed. */
static void cut(const uint8_t *packed, size_t bytes, int last)
{
	size_t at = sizeof(Elf64_Ehdr) + (size_t)(last + 2) * sizeof(Elf64_Shdr) +
		    offsetof(Elf64_Shdr, sh_size);

	for (size_t less = 1; less <= 64; less++) {
		uint8_t *copy = malloc(bytes - less);
		uint64_t size;

		memcpy(copy, packed, bytes - less);
		memcpy(&size, copy + at, sizeof size);
		size -= less;
		memcpy(copy + at, &size, sizeof size);
		memset(ranges, 0, sizeof ranges);
		ask(copy, bytes - less, UINT64_MAX / 2);
		free(copy);
	}
}

/* What was learnt of one program must not answer for the damaged one. */
static void forget(void)
{
	memset(ranges, 0, sizeof ranges);
}

int main(int argc, char **argv)
{
	struct module self = { .path = "/proc/self/exe" };
	uint64_t rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000;
	struct mapping mapping;
	size_t bytes, copy_bytes;

	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	if (!find((uint64_t)(uintptr_t)main, &mapping))
		return 2;
	self.base = mapping.module->base;
	const uint8_t *elf = map_file(&self);
	uint64_t here = (uint64_t)(uintptr_t)main - mapping.bias;

	for (int last = 0; last < PARTS; last++) {
		uint8_t *packed = pack(elf, self.elf_bytes, last, &bytes);
		struct mg_frame frame = { 0 };

		forget();
		if (!mg_line(packed, bytes, here, &frame) || strstr(frame.file, "fuzz-lines.c") == NULL)
			return 3;
		cut(packed, bytes, last);
		for (uint64_t round = 0; round < rounds; round++) {
			/* Every so often the file is cut, too. */
			copy_bytes = round % 8 == 7 ? random_word() % bytes : bytes;
			uint8_t *copy = malloc(copy_bytes + (copy_bytes == 0));

			memcpy(copy, packed, copy_bytes);
			for (uint64_t i = 0; i < 1 + round % 5 && copy_bytes > 1000; i++)
				damage(copy, copy_bytes, round);
			forget();
			ask(copy, copy_bytes, round % 2 == 0 ? here : here + random_word() % 65536);
			free(copy);
		}
		free(packed);
	}
	puts("done");
	return 0;
}
