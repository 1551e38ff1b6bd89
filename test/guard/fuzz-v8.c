/*
 * Names of JavaScript frames out of a heap that is damaged: v8.c is asked for frames of memory that
 * is random, but for what makes it go on: objects have maps, words are often references. Never a
 * fault (ASan, UBSan), a bounded number of reads, always text that ends and is UTF-8.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "v8.h"

enum { BYTES = 1 << 18, MAPS = 64, FRAMES = 16 };
enum { FUNCTION, CONTEXT, SHARED, SCOPE, SCRIPT, BYTECODE, CODE, ARRAY, STRING };
/* A second of system calls. */
#define READS_MAX 400000 /* order of `types` */

static uint8_t *heap;
static uint64_t seed;

static uint64_t random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t reads;

bool mg_read(uint64_t address, void *out, size_t bytes)
{
	reads++;
	if (address < (uint64_t)heap || address + bytes > (uint64_t)heap + BYTES ||
	    address + bytes < address)
		return false;
	memcpy(out, (void *)address, bytes);
	return true;
}

int mg_fail(int error, const char *problem)
{
	(void)problem;
	return -error;
}

/* All memory is the heap: code made at run time. */
struct mg_walk *mg_last_walk(void)
{
	return NULL;
}

bool mg_module(uint64_t pc, uint64_t *base, uint64_t *bias, uint64_t *eh_frame_hdr)
{
	*base = *bias = *eh_frame_hdr = 0;
	return pc >= (uint64_t)heap && pc < (uint64_t)heap + BYTES;
}

static uint64_t any_object(void)
{
	return (uint64_t)heap + 1 + random64() % (BYTES / 8 - MAPS) / 8 * 64;
}

static uint64_t any_map(void)
{
	return (uint64_t)heap + BYTES - 4096 + 1 + random64() % MAPS * 64;
}

static uint64_t any_word(void)
{
	switch (random64() % 8) {
	case 0: return random64();
	case 1: return (random64() % 100) << 32;          /* a small integer */
	case 2: return random64() << 32;
	case 3: return 0x0101010101010101ull * (random64() % 256);
	case 4: return (uint64_t)heap + random64() % BYTES; /* code */
	default: return any_object() | (random64() % 16 == 0 ? 2 : 0);
	}
}

static void fill(const uint16_t *types, size_t count)
{
	for (uint64_t at = 0; at < BYTES; at += 8) {
		uint64_t word = at % 64 == 0 ? any_map() : any_word();
		memcpy(heap + at, &word, 8);
	}
	for (int i = 0; i < MAPS; i++) {
		uint16_t type = i < 24 ? (uint16_t)(random64() % 48) : types[(size_t)(i - 24) % count];
		memcpy(heap + BYTES - 4096 + 64 * i + MAP_KIND, &type, sizeof type);
	}
}

static void put(uint64_t at, uint64_t word)
{
	memcpy((void *)at, &word, sizeof word);
}

/* One that begins as it should. */
static uint64_t an_object(int type)
{
	uint64_t object = any_object();

	put(object - 1, (uint64_t)heap + BYTES - 4096 + 1 + 64 * (24 + (uint64_t)type));
	return object;
}

/* Each character whole, nothing after the end. */
static bool is_text(const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	for (size_t i = 0; i < length;) {
		unsigned char c = (unsigned char)text[i++];
		int more = c < 0x80 ? 0 : c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : -1;
		for (; more > 0 && ((unsigned char)text[i] & 0xc0) == 0x80; more--)
			i++;
		if (more != 0)
			return false;
	}
	return length < size;
}

int main(int argc, char **argv)
{
	static const struct mg_v8 v8 = {
		.function_shared = 24, .shared_name = 16, .shared_script = 32, .scope_first = 3,
		.bytecode_data = 54, .code_flags = 48, .code_size = 56, .stream_header = 16,
		.deopt_id = 5, .deopt_literals = 2, .deopt_inlined = 7, .kind_baseline = 11,
		.word_bytes = 8, .function_first = 2066, .function_last = 2082, .context_first = 205,
		.context_last = 214, .type_shared = 262, .type_scope = 261, .type_script = 167,
		.type_bytecode = 191, .type_code = 245, .type_bytes = 190, .is_known = true,
	};
	static const uint16_t types[] = { 2066, 205, 262, 261, 167, 191, 245, 190, 40 };
	static uint8_t sizes[3 * 200];
	static struct mg_frame frames[FRAMES];
	uint64_t found = 0, names = 0, lines = 0, most = 0;

	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
	heap = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < sizeof sizes; i++)
		sizes[i] = (uint8_t)(random64() % 9);
	for (int round = 0; round < 100; round++) {
		mg_v8 = v8;
		mg_v8.bytecode_sizes = sizes;
		mg_v8.bytecode_count = 200;
		mg_v8.has_flag_bits = round % 2;
		fill(types, sizeof types / sizeof *types);
		for (int i = 0; i < 60; i++) {
			uint64_t fp = (uint64_t)heap + 64 + random64() % (BYTES / 8 - 1024) * 8;
			uint64_t shared = an_object(SHARED), function = an_object(FUNCTION);
			put(function + 23, shared);
			if (random64() % 2 == 0)
				put(shared + 15, an_object(SCOPE));
			uint64_t script = an_object(SCRIPT), source = an_object(STRING);
			put(shared + 31, script);
			if (random64() % 2 == 0) {
				put(script + 7, source);
				put(source + 7, 3000ull << 32);
			}
			put(fp - 8, an_object(CONTEXT));
			put(fp - 16, function);
			uint64_t code = an_object(BYTECODE), table = an_object(ARRAY);
			put(code + 31, table);
			put(table + 7, (random64() % 300) << 32);
			if (random64() % 2 == 0)
				put(fp - 40, (53 + random64() % 100) << 32);
			if (random64() % 2 == 0)
				put(fp - 32, code);
			reads = 0;
			uint32_t count = mg_v8_frames((uint64_t)heap + random64() % BYTES, fp, NULL, frames,
						      FRAMES);
			most = reads > most ? reads : most;
			if (count > FRAMES)
				return 1;
			for (uint32_t n = 0; n < count; n++) {
				if (!is_text(frames[n].function, sizeof frames[n].function) ||
				    !is_text(frames[n].file, sizeof frames[n].file))
					return 2;
				names += frames[n].function[0] != 0;
				lines += frames[n].line != 0;
			}
			found += count;
		}
	}
	printf("%lu frames, %lu names, %lu lines, at most %lu reads\n", found, names, lines, most);
	return found > 1000 && names > 1000 && lines > 40 && most < READS_MAX ? 0 : 3;
}
