/*
 * Garbage in call frame information, under ASan and UBSan: the program's own .eh_frame is copied,
 * damaged, and asked about every function again and again, with registers of all kinds.
 *
 * usage: fuzz-cfi SEED ROUNDS
 */
#define _GNU_SOURCE
#include <link.h>
#include <stdio.h>
#include <stdlib.h>

#include "cfi.c"

static uint64_t seed;
static uint8_t *image;          /* the module's bytes from `image_start` on, as they are damaged */
static uint64_t image_start, image_bytes, hdr, code_start, code_bytes;
static uint64_t steps;

static uint64_t random_word(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return seed ^ seed >> 29;
}

/* The machine's memory: the copy, and a stack whose words are random. */
bool mg_read(uint64_t address, void *out, size_t bytes)
{
	if (bytes <= image_bytes && address >= image_start &&
	    address - image_start <= image_bytes - bytes) {
		memcpy(out, image + (address - image_start), bytes);
		return true;
	}
	if (address >> 44 != 7)
		return false;
	for (size_t i = 0; i < bytes; i++)
		((uint8_t *)out)[i] = (uint8_t)(address >> (i % 8));
	return true;
}

static int find_self(struct dl_phdr_info *info, size_t size, void *unused)
{
	uint64_t end = 0;

	(void)size;
	(void)unused;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

		if (segment->p_type == PT_GNU_EH_FRAME)
			hdr = info->dlpi_addr + segment->p_vaddr;
		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X)) {
			code_start = info->dlpi_addr + segment->p_vaddr;
			code_bytes = segment->p_memsz;
		}
	}
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && hdr >= start && hdr < start + segment->p_memsz)
			end = start + segment->p_memsz;
	}
	image_start = hdr;
	image_bytes = end - hdr;
	return 1;
}

static void step(uint64_t pc)
{
	struct mg_registers registers = { .known = (uint32_t)random_word() | 0x10080 };

	for (int i = 0; i < MG_REGISTERS; i++)
		registers.reg[i] = random_word() % 3 == 0 ? random_word() : 7ull << 44 | random_word() >> 24;
	steps += mg_cfi_step(hdr, pc, &registers) == MG_CFI_STEPPED;
	mg_cfi_function(hdr, pc);
}

int main(int argc, char **argv)
{
	uint64_t rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000;
	uint8_t *whole;

	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	dl_iterate_phdr(find_self, NULL);
	whole = malloc(image_bytes);
	image = malloc(image_bytes);
	memcpy(whole, (void *)(uintptr_t)image_start, image_bytes);
	memcpy(image, whole, image_bytes);
	for (uint64_t i = 0; i < 1000; i++)
		step(code_start + random_word() % code_bytes);
	if (steps < 500) {
		printf("only %lu steps of undamaged records\n", steps);
		return 3;
	}
	for (uint64_t round = 0; round < rounds; round++) {
		uint64_t pc = code_start + random_word() % code_bytes;
		uint64_t at = mg_cfi_function(hdr, pc) == 0 ? 0 : search_record(hdr, pc) - image_start;

		/* The record of this very function, mostly; the index sometimes. */
		for (uint64_t i = 0; i < 1 + round % 6; i++)
			image[(round % 7 == 0 ? random_word() % 64 : at + random_word() % 96) %
			      image_bytes] = (uint8_t)(random_word() >> 7);
		for (int i = 0; i < 4; i++)
			step(pc + random_word() % 64);
		memcpy(image, whole, image_bytes);
	}
	puts("done");
	return 0;
}
