/*
 * File and line of an address, from the .debug_line section of a mapped ELF file.
 *
 * HOW      The line programs (DWARF 2 to 5) are run one after the other until a row covers the
 *          address: some 250 MB a second the first time; what a unit covers is kept. Only of the
 *          right unit are the tables of names read.
 * HANDLER  All of it. Every byte is taken through a reader that ends where its
 *          section or unit ends, every offset and index is checked: the file may be garbage.
 * REFUSED  .debug_info (comp_dir of DWARF 4, names of inlined functions): another parser of this
 *          size; so with DWARF 4 a path may be relative, as the compiler was called. Compressed
 *          sections. More than PROGRAM_BYTES_MAX of programs: the report must come in time.
 */
#include "reader.h"

#include <stdatomic.h>

#define PROGRAM_BYTES_MAX (128ul << 20)

enum { FORMATS_MAX = 16, RANGES = 16381 };
enum { CONTENT_PATH = 1, CONTENT_DIRECTORY = 2 };

struct unit {
	struct reader tables, program;
	uint16_t version;
	uint8_t offset_bytes, step, line_range, opcode_base;
	int8_t line_base;
	const uint8_t *lengths;     /* of the standard opcodes */
};

struct row {
	uint64_t address, file, line;
};

struct strings {
	const char *start[2];       /* .debug_str, .debug_line_str */
	size_t bytes[2];
};

static bool open_unit(struct reader *section, struct unit *unit)
{
	uint64_t bytes = read_fixed(section, 4);
	struct reader reader;

	unit->offset_bytes = bytes == 0xffffffff ? 8 : 4;
	if (unit->offset_bytes == 8)
		bytes = read_fixed(section, 8);
	reader = read_part(section, bytes);
	unit->version = (uint16_t)read_fixed(&reader, 2);
	if (unit->version < 2 || unit->version > 5)
		return false;
	if (unit->version == 5 && read_fixed(&reader, 2) != 8) /* bytes of an address, of a segment */
		return false;
	bytes = read_fixed(&reader, unit->offset_bytes);
	unit->tables = read_part(&reader, bytes);
	unit->program = reader;
	unit->step = (uint8_t)read_fixed(&unit->tables, 1);
	read_fixed(&unit->tables, unit->version >= 4 ? 2 : 1); /* operations, default_is_stmt */
	unit->line_base = (int8_t)read_fixed(&unit->tables, 1);
	unit->line_range = (uint8_t)read_fixed(&unit->tables, 1);
	unit->opcode_base = (uint8_t)read_fixed(&unit->tables, 1);
	unit->lengths = read_part(&unit->tables, unit->opcode_base > 0 ? unit->opcode_base - 1u : 0).at;
	return !reader.is_bad && !unit->tables.is_bad && unit->line_range > 0 &&
	       unit->opcode_base > 0;
}

/* Runs to the next row; false: no more. `ends` says whether that row ends its sequence. */
static bool next_row(struct unit *unit, struct row *row, bool *ends)
{
	struct reader *program = &unit->program;

	for (*ends = false; program->at < program->end;) {
		uint8_t op = *program->at++;
		struct reader extended;

		if (op >= unit->opcode_base) {
			op -= unit->opcode_base;
			row->address += (uint64_t)(op / unit->line_range) * unit->step;
			row->line += (uint64_t)(int64_t)(unit->line_base + op % unit->line_range);
			return true;
		}
		switch (op) {
		case 0: /* extended */
			extended = read_part(program, read_uleb(program));
			op = (uint8_t)read_fixed(&extended, 1);
			if (op == 2)
				row->address = read_fixed(&extended, 8);
			*ends = op == 1;
			if (*ends)
				return true;
			break;
		case 1: return true;
		case 2: row->address += read_uleb(program) * unit->step; break;
		case 3: row->line += read_sleb(program); break;
		case 4: row->file = read_uleb(program); break;
		case 8: row->address += (uint64_t)((255 - unit->opcode_base) / unit->line_range) *
					unit->step; break;
		case 9: row->address += read_fixed(program, 2); break;
		default:
			for (int i = 0; i < unit->lengths[op - 1]; i++)
				read_uleb(program);
		}
	}
	return false;
}

/* What a unit's program covers, learnt when it is run to its end; written once, by one thread. */
static struct range {
	const uint8_t *_Atomic unit; /* where its program begins; BUSY: being written */
	uint64_t low, high;
} ranges[RANGES];

#define BUSY ((const uint8_t *)1)

static void keep_range(const uint8_t *unit, uint64_t low, uint64_t high)
{
	struct range *range = &ranges[(uintptr_t)unit % RANGES];
	const uint8_t *none = NULL;

	if (!atomic_compare_exchange_strong(&range->unit, &none, BUSY))
		return;
	range->low = low;
	range->high = high;
	atomic_store(&range->unit, unit);
}

static bool find_row(struct unit *unit, uint64_t address, struct row *found)
{
	const uint8_t *start = unit->program.at;
	const struct range *known = &ranges[(uintptr_t)start % RANGES];
	struct row row = { 0, 1, 1 };
	bool has_row = false, is_dropped = false, ends;
	uint64_t low = UINT64_MAX, high = 0;

	if (atomic_load(&known->unit) == start && (address < known->low || address >= known->high))
		return false;
	while (next_row(unit, &row, &ends)) {
		if (has_row && found->address <= address && address < row.address)
			return true;
		if (!has_row)
			is_dropped = row.address == 0; /* a function that the linker left out */
		low = row.address < low && !is_dropped ? row.address : low;
		high = row.address > high && !is_dropped ? row.address : high;
		*found = row;
		has_row = !ends;
		if (ends)
			row = (struct row){ 0, 1, 1 };
	}
	keep_range(start, low, high);
	return false;
}

/* One value of a table of DWARF 5: a number, or a text. */
static uint64_t value(struct unit *unit, uint64_t form, const struct strings *strings,
		      const char **text)
{
	struct reader *reader = &unit->tables;
	uint64_t offset;
	int which = form == 0x1f; /* line_strp, otherwise strp */

	switch (form) {
	case 0x08: *text = read_text(reader); return 0;
	case 0x0e: case 0x1f:
		offset = read_fixed(reader, unit->offset_bytes);
		if (offset < strings->bytes[which])
			*text = strings->start[which] + offset;
		return 0;
	case 0x0b: return read_fixed(reader, 1);
	case 0x05: return read_fixed(reader, 2);
	case 0x06: return read_fixed(reader, 4);
	case 0x07: return read_fixed(reader, 8);
	case 0x1e: return read_fixed(reader, 16);
	case 0x0f: return read_uleb(reader);
	case 0x09: return read_part(reader, read_uleb(reader)).is_bad;
	default: reader->is_bad = true; return 0;
	}
}

/* Entry `wanted` of the table that comes next, DWARF 5: a list of formats, then the entries. */
static const char *entry(struct unit *unit, const struct strings *strings, uint64_t wanted,
			 uint64_t *directory)
{
	uint64_t formats[FORMATS_MAX][2], count, number;
	uint8_t format_count = (uint8_t)read_fixed(&unit->tables, 1);
	const char *found = NULL, *text;

	for (unsigned i = 0; i < format_count; i++) {
		formats[i % FORMATS_MAX][0] = read_uleb(&unit->tables);
		formats[i % FORMATS_MAX][1] = read_uleb(&unit->tables);
	}
	count = read_uleb(&unit->tables);
	if (format_count == 0 || format_count > FORMATS_MAX)
		return NULL;
	for (uint64_t at = 0; at < count && !unit->tables.is_bad; at++) {
		for (unsigned i = 0; i < format_count; i++) {
			text = NULL;
			number = value(unit, formats[i][1], strings, &text);
			if (at == wanted && formats[i][0] == CONTENT_PATH)
				found = text;
			else if (at == wanted && formats[i][0] == CONTENT_DIRECTORY)
				*directory = number;
		}
	}
	return found;
}

/* The same, DWARF 2 to 4: texts until an empty one, numbered from 1. */
static const char *old_entry(struct unit *unit, uint64_t wanted, uint64_t *directory)
{
	const char *found = NULL, *text;
	uint64_t number;

	for (uint64_t at = 1; *(text = read_text(&unit->tables)) != 0; at++) {
		if (directory != NULL) {
			number = read_uleb(&unit->tables);
			read_uleb(&unit->tables); /* time of change, size */
			read_uleb(&unit->tables);
			if (at == wanted)
				*directory = number;
		}
		if (at == wanted)
			found = text;
	}
	return found;
}

/* Puts `part` and a slash before what is there, which ends at the end; keeps the end. */
static size_t prepend(char *out, size_t from, const char *part)
{
	size_t length = part == NULL ? 0 : strlen(part);

	if (out[from] == '/' || length == 0)
		return from;
	if (out[from] != 0 && from > 0)
		out[--from] = '/';
	for (; length > 0 && from > 0; length--)
		out[--from] = part[length - 1];
	return from;
}

static void name_file(struct unit *unit, const struct strings *strings, uint64_t file, char *out,
		      size_t bytes)
{
	const struct reader tables = unit->tables;
	const char *name, *parent = NULL, *root = NULL;
	uint64_t directory = 0, none;
	size_t from = bytes - 1;

	if (unit->version == 5) {
		root = entry(unit, strings, 0, &none);
		name = entry(unit, strings, file, &directory);
		unit->tables = tables;
		parent = entry(unit, strings, directory, &none);
	} else {
		old_entry(unit, 0, NULL);
		name = old_entry(unit, file, &directory);
		unit->tables = tables;
		parent = old_entry(unit, directory, NULL);
	}
	out[from] = 0;
	from = prepend(out, from, name);
	from = prepend(out, from, name == NULL ? NULL : parent);
	from = prepend(out, from, name == NULL || directory == 0 ? NULL : root);
	memmove(out, out + from, bytes - from);
}

HANDLER bool mg_line(const uint8_t *elf, size_t elf_bytes, uint64_t file_address,
		     struct mg_frame *frame)
{
	static const char *const names[2] = { ".debug_str", ".debug_line_str" };
	struct strings strings = { 0 };
	struct reader section;
	struct unit unit;
	struct row row = { 0, 0, 0 };
	size_t bytes;

	section.at = mg_section(elf, elf_bytes, ".debug_line", &bytes);
	if (section.at == NULL)
		return false;
	section.end = section.at + (bytes < PROGRAM_BYTES_MAX ? bytes : PROGRAM_BYTES_MAX);
	section.is_bad = false;
	while (section.at < section.end) {
		if (!open_unit(&section, &unit) || !find_row(&unit, file_address, &row))
			continue;
		for (int i = 0; i < 2; i++) {
			strings.start[i] = (const char *)mg_section(elf, elf_bytes, names[i],
								    &strings.bytes[i]);
			if (strings.start[i] == NULL || strings.bytes[i] == 0 ||
			    strings.start[i][strings.bytes[i] - 1] != 0)
				strings.bytes[i] = 0; /* a text must end */
		}
		name_file(&unit, &strings, row.file, frame->file, sizeof frame->file);
		frame->line = row.line <= UINT32_MAX ? (uint32_t)row.line : 0;
		return frame->line != 0 && frame->file[0] != 0;
	}
	return false;
}
