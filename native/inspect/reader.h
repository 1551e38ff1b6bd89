/*
 * Numbers and texts of DWARF out of bytes that may be garbage: nothing is read at or behind `end`,
 * and from the first number that would not fit on, all is 0 and `is_bad`. May run in a handler.
 */
#ifndef MILLRACE_INSPECT_READER_H
#define MILLRACE_INSPECT_READER_H

#include "inspect.h"

struct reader {
	const uint8_t *at, *end;
	bool is_bad;
};

/* The part of the reader that begins where it stands; it goes on behind that part. */
static inline struct reader read_part(struct reader *reader, uint64_t bytes)
{
	struct reader part = { reader->at, reader->at, bytes > (uint64_t)(reader->end - reader->at) };

	reader->is_bad |= part.is_bad;
	reader->at = reader->is_bad ? reader->end : reader->at + bytes;
	part.end = part.is_bad ? part.at : reader->at;
	return part;
}

static inline uint64_t read_fixed(struct reader *reader, size_t bytes)
{
	struct reader part = read_part(reader, bytes);
	uint64_t value = 0;

	if (!part.is_bad)
		memcpy(&value, part.at, bytes < sizeof value ? bytes : sizeof value);
	return value;
}

static inline uint64_t read_leb(struct reader *reader, bool is_signed)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = (uint8_t)read_fixed(reader, 1);
		value |= shift < 64 ? (uint64_t)(byte & 0x7f) << shift : 0;
		shift += 7;
	} while (byte & 0x80);
	return is_signed && (byte & 0x40) && shift < 64 ? value | ~0ull << shift : value;
}

#define read_uleb(reader) read_leb(reader, false)
#define read_sleb(reader) ((int64_t)read_leb(reader, true))

static inline const char *read_text(struct reader *reader)
{
	const char *text = (const char *)reader->at;

	read_part(reader, strnlen(text, (size_t)(reader->end - reader->at)) + 1);
	return reader->is_bad ? "" : text;
}

#endif
