/*
 * Strings of V8's heap, and places in sources: bytes of tables to offsets, offsets to lines. All of
 * it runs in handlers, on a heap that may be damaged: every loop has a bound of its own.
 */
#include "v8.h"

/* Characters of a string from `index` on, as 16 bits each; their number, 0: the end. */
HANDLER static uint32_t chars_at(uint64_t string, uint32_t index, uint16_t *out, uint32_t most)
{
	struct { uint64_t map; uint32_t hash, length; uint64_t first, second; } head, left;
	uint8_t *narrow = (uint8_t *)out + most; /* the upper half: widened upward from below */

	for (int depth = 0; depth < STRING_DEPTH; depth++) {
		int type = type_of(string), is_wide = !(type & 8);
		if (type >= 128)
			return 0;
		words_at(string, 0, &head.map, 4);
		if (index >= head.length)
			return 0;
		most = head.length - index < most ? head.length - index : most;
		switch (type & 7) {
		case 2: /* external: without the cached address only its owner knows where */
		case 0: /* flat */
			if ((type & 7) == 0)
				head.second = string - 1 + 16;
			else if (type & 16)
				return 0;
			if (!mg_read(head.second + ((uint64_t)index << is_wide),
				     is_wide ? (void *)out : narrow, (size_t)most << is_wide))
				return 0;
			for (uint32_t i = 0; i < most && !is_wide; i++)
				out[i] = narrow[i];
			return most;
		case 1: /* two halves */
			words_at(head.first, 0, &left.map, 2);
			string = index < left.length ? head.first : head.second;
			index -= index < left.length ? 0 : left.length;
			break;
		case 3: /* a slice; any other: a reference */
			index += (uint32_t)SMI(head.second);
			/* fallthrough */
		default:
			string = head.first;
		}
	}
	return 0;
}

HANDLER bool mg_v8_text(uint64_t string, char *out, size_t size)
{
	uint32_t count, index = 0, high = 0, code;
	uint16_t chars[128];
	size_t used = 0;

	while (index < 4 * size && (count = chars_at(string, index, chars, 128)) > 0) {
		index += count;
		for (uint32_t i = 0; i < count; i++) {
			code = chars[i];
			if (high != 0 && code >> 10 == 0x37)
				code = 0x10000 + ((high & 0x3ff) << 10 | (code & 0x3ff));
			high = chars[i] >> 10 == 0x36 ? chars[i] : 0;
			if (high != 0)
				continue; /* the first half of a pair */
			int bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
			if (used + (size_t)bytes >= size)
				goto full;
			for (int n = bytes - 1; n > 0; n--, code >>= 6)
				out[used + (size_t)n] = (char)(0x80 | (code & 0x3f));
			out[used] = (char)(bytes == 1 ? code : (0xf00u >> bytes & 0xff) | code);
			used += (size_t)bytes;
		}
	}
full:
	out[used] = 0;
	return used > 0;
}

struct bytes { /* of a ByteArray, one after the other */
	uint64_t next, end;
	uint32_t at, have;
	uint8_t buffer[256];
};

HANDLER static bool open_bytes(uint64_t array, struct bytes *bytes)
{
	uint64_t length;

	if (type_of(array) != mg_v8.type_bytes || !word_at(array, LENGTH, &length) ||
	    SMI(length) < 0 || SMI(length) > TABLE_MAX)
		return false;
	bytes->next = array - 1 + ARRAY_DATA;
	bytes->end = bytes->next + (uint64_t)SMI(length);
	bytes->at = bytes->have = 0;
	return true;
}

HANDLER static bool next_number(struct bytes *bytes, uint64_t *value)
{
	*value = 0;
	for (int shift = 0; shift < 64; shift += 7) {
		if (bytes->at == bytes->have) {
			uint64_t left = bytes->end - bytes->next;
			bytes->have = (uint32_t)(left < 256 ? left : 256);
			bytes->at = 0;
			if (left == 0 || !mg_read(bytes->next, bytes->buffer, bytes->have))
				return false;
			bytes->next += bytes->have;
		}
		uint8_t byte = bytes->buffer[bytes->at++];
		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

HANDLER bool mg_v8_place(uint64_t table, int64_t offset, uint64_t *packed)
{
	int64_t code = -1, difference; /* the first entry, at -1, is the function's own place */
	struct bytes bytes;
	uint64_t raw, place = 0;
	bool is_found = false;

	if (!open_bytes(table, &bytes))
		return false;
	while (next_number(&bytes, &raw)) {
		difference = (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
		code += mg_v8.has_flag_bits ? (int64_t)(raw >> 2) :
			difference < 0 ? -(difference + 1) : difference;
		if (code > offset || !next_number(&bytes, &raw))
			break;
		place += (raw >> 1) ^ -(raw & 1);
		*packed = place;
		is_found = true;
	}
	return is_found;
}

HANDLER bool mg_v8_bytecode(uint64_t table, uint64_t bytecode, uint64_t pc_offset,
				  int64_t *offset)
{
	uint64_t length, step, pc;
	struct bytes bytes;
	uint8_t raw[256] = { 0 }, *code;
	int64_t from = -(int64_t)sizeof raw;
	uint32_t size = 0;

	*offset = 0;
	/* The first entry is the prologue, then one for each bytecode. */
	if (!word_at(bytecode, LENGTH, &length) || !open_bytes(table, &bytes) ||
	    !next_number(&bytes, &pc))
		return false;
	while (pc < pc_offset && next_number(&bytes, &step)) {
		*offset += size;
		if (*offset >= SMI(length))
			return false;
		if (*offset < from || *offset + 2 > from + (int64_t)sizeof raw) {
			int64_t left = SMI(length) - (from = *offset);
			if (!mg_read(bytecode - 1 + (uint64_t)(mg_v8.bytecode_data + from), raw,
				     left < (int64_t)sizeof raw ? (size_t)left : sizeof raw))
				return false;
		}
		code = raw + (*offset - from);
		/* 0 .. 3: prefixes, for operands of 2 and 4 bytes in turn */
		uint32_t scale = code[0] > 3 ? 0 : 1 + (code[0] & 1);
		if (code[scale > 0] >= mg_v8.bytecode_count)
			return false;
		size = (scale > 0) + mg_v8.bytecode_sizes[scale * mg_v8.bytecode_count +
							  code[scale > 0]];
		pc += step;
	}
	return pc >= pc_offset;
}

HANDLER void mg_v8_line(uint64_t script, int64_t position, struct mg_frame *frame)
{
	uint64_t source, offsets[2];
	uint32_t count, index = 0, line = 0, start = 0;
	uint16_t chars[8192], before = 0; /* few and large reads: a system call each */

	if (position < 0 || position > SOURCE_MAX || !word_at(script, SCRIPT_SOURCE, &source) ||
	    !mg_read(script - 1 + SCRIPT_LINE, offsets, sizeof offsets))
		return;
	for (int reads = 0; index < position; index += count) {
		count = chars_at(source, index, chars, 8192);
		if (count == 0 || reads++ > SOURCE_MAX / 4096)
			return;
		for (uint32_t i = 0; i < count && index + i < position; i++) {
			uint16_t c = chars[i];
			if (c > '\r' && (c | 1) != 0x2029)
				continue;
			if (c == '\n' && (i > 0 ? chars[i - 1] : before) == '\r')
				start = index + i + 1;
			else if (c == '\n' || c == '\r' || c > '\r')
				start = index + i + 1, line++;
		}
		before = chars[count - 1];
	}
	frame->column = (uint32_t)(position - start + 1 + (line == 0 ? SMI(offsets[1]) : 0));
	frame->line = line + 1 + (uint32_t)SMI(offsets[0]);
}
