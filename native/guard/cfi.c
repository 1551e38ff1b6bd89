/*
 * One step out of a native function by its call frame information (.eh_frame, DWARF).
 *
 * WHY      Code built without frame pointers (libc, node's C++, memset) can be left no other way.
 * HANDLER  All of it. Tables are found by the binary search index of .eh_frame_hdr and are read
 *          where they are mapped through a cursor that ends where its record says and reads by
 *          mg_read() only: garbage ends the step, it cannot fault. Rules kept: those of x86-64
 *          compilers, with the expressions of PLT stubs and realigned stacks.
 * REFUSED  Modules without an index (crt code linked without it): frame pointers serve; 64-bit
 *          DWARF; registers of floating point.
 */
#include "core.h"

enum { SAVED_ROWS = 8, EXPRESSION_DEPTH = 16, EXPRESSION_OPS = 256, ROW_OPS = 65536 };

struct cursor {
	uint64_t at, end;
	uint64_t from;              /* bytes[] are those from here on */
	uint32_t have;
	bool is_bad;
	uint8_t bytes[256];
};

enum rule_kind { SAME, UNDEFINED, AT_CFA, CFA_PLUS, REGISTER, AT_EXPRESSION, EXPRESSION };

struct rule {
	uint8_t kind;               /* of rule_kind */
	uint8_t number;             /* REGISTER, plus value */
	uint32_t bytes;             /* of the expression at value */
	int64_t value;
};

struct row {
	struct rule cfa, reg[MG_REGISTERS + 1]; /* the last: registers that are not followed */
};

struct program {
	struct cursor cursor;
	uint64_t location, code_align;
	int64_t data_align;
	uint8_t encoding;
	bool has_augmentation;
	uint32_t depth;
	struct row row, initial, saved[SAVED_ROWS];
};

static uint8_t next_byte(struct cursor *cursor)
{
	if (cursor->at >= cursor->end || cursor->is_bad) {
		cursor->is_bad = true;
		return 0;
	}
	if (cursor->at - cursor->from >= cursor->have) {
		uint64_t bytes = MG_PAGE - cursor->at % MG_PAGE; /* what follows may not be there */

		if (bytes > sizeof cursor->bytes)
			bytes = sizeof cursor->bytes;
		if (bytes > cursor->end - cursor->at)
			bytes = cursor->end - cursor->at;
		cursor->from = cursor->at;
		cursor->have = (uint32_t)bytes;
		if (!mg_read(cursor->at, cursor->bytes, bytes)) {
			cursor->is_bad = true;
			cursor->have = 0;
			return 0;
		}
	}
	return cursor->bytes[cursor->at++ - cursor->from];
}

static uint64_t fixed(struct cursor *cursor, int bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < bytes; i++)
		value |= (uint64_t)next_byte(cursor) << (8 * i);
	return value;
}

static int64_t fixed_signed(struct cursor *cursor, int bytes)
{
	return (int64_t)(fixed(cursor, bytes) << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

static uint64_t leb(struct cursor *cursor, bool is_signed)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = next_byte(cursor);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while ((byte & 0x80) && !cursor->is_bad);
	if (is_signed && (byte & 0x40) && shift < 64)
		value |= ~0ull << shift;
	return value;
}

#define ULEB(cursor) leb(cursor, false)
#define SLEB(cursor) ((int64_t)leb(cursor, true))

/* A pointer in one of the encodings DW_EH_PE_*; relative ones to where they stand. */
static uint64_t encoded(struct cursor *cursor, uint8_t encoding)
{
	uint64_t here = cursor->at, value;

	switch (encoding & 0x0f) {
	case 0x00: case 0x04: case 0x0c: value = fixed(cursor, 8); break;
	case 0x01: value = ULEB(cursor); break;
	case 0x02: value = fixed(cursor, 2); break;
	case 0x03: value = fixed(cursor, 4); break;
	case 0x09: value = (uint64_t)SLEB(cursor); break;
	case 0x0a: value = (uint64_t)fixed_signed(cursor, 2); break;
	case 0x0b: value = (uint64_t)fixed_signed(cursor, 4); break;
	default: cursor->is_bad = true; return 0;
	}
	if ((encoding & 0x70) == 0x10)
		value += here;
	else if ((encoding & 0x70) != 0)
		cursor->is_bad = true;
	return value;
}

/* Record of .eh_frame: the cursor stands behind its length; its id, or where it points. */
static bool open_record(struct cursor *cursor, uint64_t address, uint64_t *cie)
{
	uint32_t head[2];

	if (!mg_read(address, head, sizeof head) || head[0] < 4 || head[0] > 0x7fffffff)
		return false;
	*cursor = (struct cursor){ .at = address + 8, .end = address + 4 + head[0] };
	*cie = head[1] == 0 ? 0 : address + 4 - head[1];
	return true;
}

/* Address of the last record whose code begins at or below pc. */
static uint64_t find_record(uint64_t hdr, uint64_t pc)
{
	uint8_t head[12];
	int32_t entry[2];
	uint32_t low = 0, high;

	if (!mg_read(hdr, head, sizeof head) || head[0] != 1 || (head[1] & 0x0f) != 0x0b ||
	    head[2] != 0x03 || head[3] != 0x3b)
		return 0;
	memcpy(&high, head + 8, sizeof high);
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (!mg_read(hdr + 12 + 8ull * middle, entry, sizeof entry))
			return 0;
		if (hdr + (int64_t)entry[0] <= pc)
			low = middle;
		else
			high = middle;
	}
	if (high == 0 || !mg_read(hdr + 12 + 8ull * low, entry, sizeof entry))
		return 0;
	return hdr + (int64_t)entry[1];
}

/* Common part of the functions of a file; the cursor is left at its instructions. */
static bool open_common(struct program *program, uint64_t address)
{
	struct cursor *cursor = &program->cursor;
	uint64_t id, end;
	char text[8] = "";
	uint8_t version;

	if (!open_record(cursor, address, &id) || id != 0)
		return false;
	version = next_byte(cursor);
	for (unsigned i = 0; i < sizeof text; i++) {
		text[i] = (char)next_byte(cursor);
		if (text[i] == 0)
			break;
	}
	if ((version != 1 && version != 3) || text[sizeof text - 1] != 0)
		return false;
	program->code_align = ULEB(cursor);
	program->data_align = SLEB(cursor);
	if ((version == 1 ? next_byte(cursor) : ULEB(cursor)) != MG_RA)
		return false;
	program->has_augmentation = text[0] == 'z';
	if (text[0] != 'z')
		return text[0] == 0;
	end = ULEB(cursor);
	end += cursor->at;
	for (const char *c = text + 1; *c != 0; c++) {
		if (*c == 'R')
			program->encoding = next_byte(cursor);
		else if (*c == 'P')
			encoded(cursor, next_byte(cursor) & 0x7f); /* indirect or not */
		else if (*c == 'L')
			next_byte(cursor);
		else if (*c != 'S')
			break;
	}
	cursor->at = end;
	return !cursor->is_bad;
}

static struct rule block(struct cursor *cursor, uint8_t kind)
{
	uint64_t bytes = ULEB(cursor);
	struct rule rule = { .kind = kind, .bytes = (uint32_t)bytes, .value = (int64_t)cursor->at };

	if (bytes > cursor->end - cursor->at)
		cursor->is_bad = true;
	else
		cursor->at += bytes;
	return rule;
}

/* The instructions <op> <register> <rule>. */
static void set_rule(struct program *program, uint8_t op)
{
	struct cursor *cursor = &program->cursor;
	uint64_t number = ULEB(cursor);
	struct rule rule = { .kind = SAME };

	if (number > MG_REGISTERS)
		number = MG_REGISTERS;
	switch (op) {
	case 0x05: case 0x14: /* offset_extended, val_offset */
		rule.kind = op == 0x05 ? AT_CFA : CFA_PLUS;
		rule.value = (int64_t)ULEB(cursor) * program->data_align;
		break;
	case 0x11: case 0x15: /* .. and signed */
		rule.kind = op == 0x11 ? AT_CFA : CFA_PLUS;
		rule.value = SLEB(cursor) * program->data_align;
		break;
	case 0x06: rule = program->initial.reg[number]; break;
	case 0x07: rule.kind = UNDEFINED; break;
	case 0x08: break; /* same_value */
	case 0x09: rule.kind = REGISTER; rule.number = (uint8_t)ULEB(cursor); break;
	case 0x10: rule = block(cursor, AT_EXPRESSION); break;
	case 0x16: rule = block(cursor, EXPRESSION); break;
	default: cursor->is_bad = true;
	}
	program->row.reg[number] = rule;
}

static void run_one(struct program *program, uint8_t op)
{
	struct cursor *cursor = &program->cursor;
	struct row *row = &program->row;
	unsigned low = (op & 0x3f) < MG_REGISTERS ? op & 0x3f : MG_REGISTERS;

	switch (op < 0x40 ? op : op & 0xc0) {
	case 0x40: program->location += (op & 0x3f) * program->code_align; break;
	case 0x80:
		row->reg[low].kind = AT_CFA;
		row->reg[low].value = (int64_t)ULEB(cursor) * program->data_align;
		break;
	case 0xc0: row->reg[low] = program->initial.reg[low]; break;
	case 0x00: break;
	case 0x01: program->location = encoded(cursor, program->encoding); break;
	case 0x02: case 0x03: case 0x04: /* advance_loc1, 2, 4 */
		program->location += fixed(cursor, 1 << (op - 2)) * program->code_align;
		break;
	case 0x0a: /* remember_state */
		cursor->is_bad |= program->depth == SAVED_ROWS;
		if (!cursor->is_bad)
			program->saved[program->depth++] = *row;
		break;
	case 0x0b: /* restore_state */
		cursor->is_bad |= program->depth == 0;
		if (!cursor->is_bad)
			*row = program->saved[--program->depth];
		break;
	case 0x0c: case 0x12: /* def_cfa, def_cfa_sf */
		row->cfa.kind = REGISTER;
		row->cfa.number = (uint8_t)ULEB(cursor);
		row->cfa.value = op == 0x0c ? (int64_t)ULEB(cursor) :
				 SLEB(cursor) * program->data_align;
		break;
	case 0x0d: row->cfa.number = (uint8_t)ULEB(cursor); break;
	case 0x0e: row->cfa.value = (int64_t)ULEB(cursor); break;
	case 0x13: row->cfa.value = SLEB(cursor) * program->data_align; break;
	case 0x0f: row->cfa = block(cursor, EXPRESSION); break;
	case 0x2e: ULEB(cursor); break; /* GNU_args_size */
	default: set_rule(program, op);
	}
}

static bool run(struct program *program, uint64_t pc)
{
	struct cursor *cursor = &program->cursor;

	for (int i = 0; cursor->at < cursor->end && program->location <= pc; i++) {
		run_one(program, next_byte(cursor));
		if (cursor->is_bad || i == ROW_OPS)
			return false;
	}
	return true;
}

static bool calculate(uint8_t op, uint64_t a, uint64_t b, uint64_t *out)
{
	switch (op) {
	case 0x1a: *out = a & b; break;
	case 0x1c: *out = a - b; break;
	case 0x1e: *out = a * b; break;
	case 0x21: *out = a | b; break;
	case 0x22: *out = a + b; break;
	case 0x24: *out = b < 64 ? a << b : 0; break;
	case 0x25: *out = b < 64 ? a >> b : 0; break;
	case 0x27: *out = a ^ b; break;
	case 0x29: *out = a == b; break;
	case 0x2a: *out = (int64_t)a >= (int64_t)b; break;
	case 0x2b: *out = (int64_t)a > (int64_t)b; break;
	case 0x2c: *out = (int64_t)a <= (int64_t)b; break;
	case 0x2d: *out = (int64_t)a < (int64_t)b; break;
	case 0x2e: *out = a != b; break;
	default: return false;
	}
	return true;
}

/* A DWARF expression on the registers; `first` is on its stack (the CFA, for registers' rules). */
static bool evaluate(const struct rule *rule, const struct mg_registers *registers,
		     const uint64_t *first, uint64_t *out)
{
	struct cursor cursor = { .at = (uint64_t)rule->value,
				 .end = (uint64_t)rule->value + rule->bytes };
	uint64_t stack[EXPRESSION_DEPTH + 1], value;
	int depth = 0;

	if (first != NULL)
		stack[depth++] = *first;
	while (cursor.at < cursor.end) {
		uint8_t op = next_byte(&cursor);

		if (op >= 0x70 && op < 0x70 + MG_REGISTERS) { /* breg */
			if (!(registers->known & 1u << (op - 0x70)))
				return false;
			value = registers->reg[op - 0x70] + (uint64_t)SLEB(&cursor);
		} else if (op >= 0x30 && op <= 0x4f) {
			value = op - 0x30;
		} else if (op >= 0x08 && op <= 0x0f) { /* const1u .. const8s */
			value = op & 1 ? (uint64_t)fixed_signed(&cursor, 1 << ((op - 8) / 2)) :
				fixed(&cursor, 1 << ((op - 8) / 2));
		} else if (op == 0x10 || op == 0x11) {
			value = leb(&cursor, op == 0x11);
		} else if (depth == 0) {
			return false;
		} else if (op == 0x12) { /* dup */
			value = stack[depth - 1];
		} else if (op == 0x06) { /* deref */
			if (!mg_read(stack[--depth], &value, sizeof value))
				return false;
		} else if (op == 0x23) { /* plus_uconst */
			value = stack[--depth] + ULEB(&cursor);
		} else if (depth < 2 || !calculate(op, stack[depth - 2], stack[depth - 1], &value)) {
			return false;
		} else {
			depth -= 2;
		}
		if (cursor.is_bad || depth == EXPRESSION_DEPTH)
			return false;
		stack[depth++] = value;
	}
	*out = depth > 0 ? stack[depth - 1] : 0;
	return depth > 0;
}

/* The caller's registers by a row's rules; false: stack or tables are damaged. */
static bool apply(const struct row *row, struct mg_registers *registers)
{
	struct mg_registers caller = *registers;
	uint64_t cfa;

	if (row->cfa.kind == EXPRESSION) {
		if (!evaluate(&row->cfa, registers, NULL, &cfa))
			return false;
	} else if (row->cfa.kind == REGISTER && row->cfa.number < MG_REGISTERS &&
		   (registers->known & 1u << row->cfa.number)) {
		cfa = registers->reg[row->cfa.number] + (uint64_t)row->cfa.value;
	} else {
		return false;
	}
	caller.reg[MG_RSP] = cfa;
	for (unsigned i = 0; i < MG_REGISTERS; i++) {
		const struct rule *rule = &row->reg[i];
		uint64_t at = cfa + (uint64_t)rule->value;
		bool is_known = true;

		if (rule->kind == CFA_PLUS)
			caller.reg[i] = at;
		else if (rule->kind == REGISTER && rule->number < MG_REGISTERS)
			caller.reg[i] = registers->reg[rule->number];
		else if (rule->kind == EXPRESSION)
			is_known = evaluate(rule, registers, &cfa, &caller.reg[i]);
		else if (rule->kind == AT_CFA)
			is_known = mg_read(at, &caller.reg[i], sizeof at);
		else if (rule->kind == AT_EXPRESSION)
			is_known = evaluate(rule, registers, &cfa, &at) &&
				   mg_read(at, &caller.reg[i], sizeof at);
		else if (rule->kind != SAME)
			is_known = false;
		if (!is_known)
			caller.known &= ~(1u << i);
		else if (rule->kind != SAME)
			caller.known |= 1u << i;
	}
	*registers = caller;
	return true;
}

HANDLER enum mg_cfi mg_cfi_step(uint64_t hdr, uint64_t pc, struct mg_registers *registers)
{
	struct program program = { .encoding = 0 };
	struct cursor entry;
	uint64_t record = find_record(hdr, pc), common = 0, bytes;

	if (record == 0 || !open_record(&entry, record, &common) || common == 0 ||
	    !open_common(&program, common))
		return MG_CFI_NONE;
	program.location = encoded(&entry, program.encoding);
	bytes = encoded(&entry, program.encoding & 0x0f);
	if (entry.is_bad || pc - program.location >= bytes)
		return MG_CFI_NONE;
	if (program.has_augmentation) {
		bytes = ULEB(&entry);
		entry.at += bytes <= entry.end - entry.at ? bytes : entry.end - entry.at;
	}
	/* The common instructions come first, wherever the pc is. */
	bytes = program.location;
	program.location = 0;
	if (!run(&program, pc))
		return MG_CFI_BROKEN;
	program.initial = program.row;
	program.cursor = entry;
	program.location = bytes;
	if (!run(&program, pc) || !apply(&program.row, registers))
		return MG_CFI_BROKEN;
	if (program.row.reg[MG_RA].kind == UNDEFINED || registers->reg[MG_RA] == 0)
		return MG_CFI_END;
	return registers->known & 1u << MG_RA ? MG_CFI_STEPPED : MG_CFI_BROKEN;
}
