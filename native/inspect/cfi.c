/*
 * One step out of a native function by its call frame information (.eh_frame, DWARF).
 *
 * WHY      Code built without frame pointers (libc, node's C++, memset) can be left no other way.
 * HANDLER  All of it. The record of a function is found by the sorted index in .eh_frame_hdr and
 *          copied by mg_read(), then read through readers that end where the copy ends: garbage
 *          ends the step, it cannot fault. Rules: those of x86-64 compilers, with the expressions
 *          of PLT stubs and realigned stacks.
 * REFUSED  Modules without the index (a static program linked without it): frame pointers serve;
 *          64-bit DWARF; registers of floating point; records of more than RECORD_BYTES.
 */
#include "reader.h"

#include <stdatomic.h>

enum { FOUND = 1021, RECORD_BYTES = 4096, SAVED_ROWS = 8, DEPTH_MAX = 16 };
enum rule_kind { SAME, UNDEFINED, AT_CFA, CFA_PLUS, REGISTER, AT_EXPRESSION, EXPRESSION };

struct rule {
	enum rule_kind kind;
	uint32_t number;         /* REGISTER, plus value */
	int64_t value;
	struct reader expression;
};

struct row {
	struct rule cfa, reg[MG_REGISTERS + 1]; /* the last: registers that are not followed */
};

/* A record of .eh_frame, and where it is mapped. */
struct record {
	struct reader reader;
	uint64_t address;
	uint8_t bytes[RECORD_BYTES];
};

struct program {
	struct reader reader;    /* of the instructions */
	uint64_t location, code_align;
	int64_t data_align;
	uint8_t encoding;
	bool has_augmentation;
	uint32_t depth;
	struct row row, initial, saved[SAVED_ROWS];
};

/* A pointer in one of the encodings DW_EH_PE_*; relative ones to where they stand. */
static uint64_t read_pointer(struct record *record, uint8_t encoding)
{
	static const uint8_t sizes[16] = { 8, 0, 2, 4, 8, 0, 0, 0, 0, 0, 2, 4, 8 };
	struct reader *reader = &record->reader;
	uint64_t here = record->address + (uint64_t)(reader->at - record->bytes);
	unsigned bits = sizes[encoding & 0x0f] * 8u;
	uint64_t value = read_fixed(reader, bits / 8);

	reader->is_bad |= bits == 0 || ((encoding & 0x70) != 0 && (encoding & 0x70) != 0x10);
	if ((encoding & 0x08) && bits > 0)
		value = (uint64_t)((int64_t)(value << (64 - bits)) >> (64 - bits));
	return (encoding & 0x70) == 0x10 ? value + here : value;
}

/* Copies it; `common` is where the record that it points to is, 0: it is such a one. */
static bool open_record(struct record *record, uint64_t address, uint64_t *common)
{
	uint32_t head[2];

	if (!mg_read(address, head, sizeof head) || head[0] < 4 || head[0] > RECORD_BYTES ||
	    !mg_read(address + 8, record->bytes, head[0] - 4))
		return false;
	record->reader = (struct reader){ record->bytes, record->bytes + head[0] - 4, false };
	record->address = address + 8;
	*common = head[1] == 0 ? 0 : address + 4 - head[1];
	return true;
}

/* Address of the last record whose code begins at or below pc, by the index. */
static uint64_t search_record(uint64_t hdr, uint64_t pc)
{
	struct { uint8_t version, pointer, count, table; int32_t eh_frame; uint32_t entries; } head;
	int32_t entry[2];
	uint32_t low = 0, high;

	if (!mg_read(hdr, &head, sizeof head) || head.version != 1 || head.count != 0x03 ||
	    (head.pointer & 0x0f) != 0x0b || head.table != 0x3b || head.entries == 0)
		return 0;
	for (high = head.entries; high - low > 1;) {
		uint32_t middle = low + (high - low) / 2;

		if (!mg_read(hdr + 12 + 8ull * middle, entry, sizeof entry))
			return 0;
		if (hdr + (uint64_t)(int64_t)entry[0] <= pc)
			low = middle;
		else
			high = middle;
	}
	return mg_read(hdr + 12 + 8ull * low, entry, sizeof entry) ?
	       hdr + (uint64_t)(int64_t)entry[1] : 0;
}

/* What the functions of a file have in common; the reader is left at its instructions. */
static bool open_common(struct record *record, uint64_t address, struct program *program)
{
	struct reader *reader = &record->reader, behind;
	uint64_t none;
	const char *text;
	uint8_t version;

	if (!open_record(record, address, &none) || none != 0)
		return false;
	version = (uint8_t)read_fixed(reader, 1);
	text = read_text(reader);
	program->code_align = read_uleb(reader);
	program->data_align = read_sleb(reader);
	if ((version != 1 && version != 3) || read_uleb(reader) != MG_RA || (*text != 0 && *text != 'z'))
		return false;
	program->has_augmentation = *text == 'z';
	if (program->has_augmentation) {
		uint64_t bytes = read_uleb(reader);

		behind = *reader;
		read_part(&behind, bytes);
		for (; *text != 0; text++) {
			if (*text == 'R')
				program->encoding = (uint8_t)read_fixed(reader, 1);
			else if (*text == 'P')
				read_pointer(record, read_fixed(reader, 1) & 0x7f);
			else if (*text == 'L')
				read_fixed(reader, 1);
		}
		behind.is_bad |= reader->is_bad;
		*reader = behind;
	}
	return !reader->is_bad;
}

/* The instructions <op> <register> <rule>. */
static void set_rule(struct program *program, uint8_t op)
{
	struct reader *reader = &program->reader;
	uint64_t number = read_uleb(reader);
	struct rule rule = { .kind = SAME };

	number = number < MG_REGISTERS ? number : MG_REGISTERS;
	switch (op) {
	case 0x05: case 0x14: /* offset_extended, val_offset */
	case 0x11: case 0x15: /* .. and signed */
		rule.kind = op == 0x05 || op == 0x11 ? AT_CFA : CFA_PLUS;
		rule.value = (int64_t)read_leb(reader, op != 0x05 && op != 0x14) *
			     program->data_align;
		break;
	case 0x06: rule = program->initial.reg[number]; break;
	case 0x07: rule.kind = UNDEFINED; break;
	case 0x08: break; /* same_value */
	case 0x09: rule.kind = REGISTER; rule.number = (uint32_t)read_uleb(reader); break;
	case 0x10: case 0x16:
		rule.kind = op == 0x10 ? AT_EXPRESSION : EXPRESSION;
		rule.expression = read_part(reader, read_uleb(reader));
		break;
	default: reader->is_bad = true;
	}
	program->row.reg[number] = rule;
}

static void run_one(struct program *program, uint8_t op)
{
	struct reader *reader = &program->reader;
	struct row *row = &program->row;
	unsigned low = (op & 0x3f) < MG_REGISTERS ? op & 0x3f : MG_REGISTERS;

	switch (op < 0x40 ? op : op & 0xc0) {
	case 0x40: program->location += (op & 0x3f) * program->code_align; break;
	case 0x80:
		row->reg[low].kind = AT_CFA;
		row->reg[low].value = (int64_t)read_uleb(reader) * program->data_align;
		break;
	case 0xc0: row->reg[low] = program->initial.reg[low]; break;
	case 0x00: break;
	case 0x02: case 0x03: case 0x04: /* advance_loc1, 2, 4 */
		program->location += read_fixed(reader, 1u << (op - 2)) * program->code_align;
		break;
	case 0x0a: /* remember_state */
		reader->is_bad |= program->depth == SAVED_ROWS;
		if (!reader->is_bad)
			program->saved[program->depth++] = *row;
		break;
	case 0x0b: /* restore_state */
		reader->is_bad |= program->depth == 0;
		if (!reader->is_bad)
			*row = program->saved[--program->depth];
		break;
	case 0x0c: case 0x12: /* def_cfa, def_cfa_sf */
		row->cfa.kind = REGISTER;
		row->cfa.number = (uint32_t)read_uleb(reader);
		row->cfa.value = op == 0x0c ? (int64_t)read_uleb(reader) :
				 read_sleb(reader) * program->data_align;
		break;
	case 0x0d: row->cfa.number = (uint32_t)read_uleb(reader); break;
	case 0x0e: row->cfa.value = (int64_t)read_uleb(reader); break;
	case 0x0f: /* def_cfa_expression */
		row->cfa.kind = EXPRESSION;
		row->cfa.expression = read_part(reader, read_uleb(reader));
		break;
	case 0x13: row->cfa.value = read_sleb(reader) * program->data_align; break;
	case 0x2e: read_uleb(reader); break; /* GNU_args_size */
	default: set_rule(program, op);
	}
}

static bool run(struct program *program, uint64_t pc)
{
	while (program->reader.at < program->reader.end && program->location <= pc)
		run_one(program, (uint8_t)read_fixed(&program->reader, 1));
	return !program->reader.is_bad;
}

static bool calculate(uint8_t op, uint64_t a, uint64_t b, uint64_t *out)
{
	switch (op) {
	case 0x1a: *out = a & b; break;
	case 0x1c: *out = a - b; break;
	case 0x21: *out = a | b; break;
	case 0x22: *out = a + b; break;
	case 0x24: *out = b < 64 ? a << b : 0; break;
	case 0x25: *out = b < 64 ? a >> b : 0; break;
	case 0x29: *out = a == b; break;
	case 0x2a: *out = (int64_t)a >= (int64_t)b; break;
	case 0x2d: *out = (int64_t)a < (int64_t)b; break;
	case 0x2e: *out = a != b; break;
	default: return false;
	}
	return true;
}

/* A DWARF expression on the registers; `cfa` is on its stack at first, for rules of registers. */
static bool evaluate(struct reader code, const struct mg_registers *registers, const uint64_t *cfa,
		     uint64_t *out)
{
	uint64_t stack[DEPTH_MAX] = { cfa != NULL ? *cfa : 0 }, value;
	unsigned depth = cfa != NULL;

	while (code.at < code.end) {
		uint8_t op = (uint8_t)read_fixed(&code, 1);

		if (op >= 0x70 && op < 0x70 + MG_REGISTERS) { /* breg */
			if (!(registers->known & 1u << (op - 0x70)))
				return false;
			value = registers->reg[op - 0x70] + (uint64_t)read_sleb(&code);
		} else if (op >= 0x30 && op <= 0x4f) { /* lit */
			value = op - 0x30u;
		} else if (op == 0x08 || op == 0x10 || op == 0x11) { /* const1u, constu, consts */
			value = op == 0x08 ? read_fixed(&code, 1) : read_leb(&code, op == 0x11);
		} else if (depth > 0 && op == 0x06) { /* deref */
			if (!mg_read(stack[--depth], &value, sizeof value))
				return false;
		} else if (depth > 0 && op == 0x23) { /* plus_uconst */
			value = stack[--depth] + read_uleb(&code);
		} else if (depth > 1 && calculate(op, stack[depth - 2], stack[depth - 1], &value)) {
			depth -= 2;
		} else {
			return false;
		}
		if (code.is_bad || depth == DEPTH_MAX)
			return false;
		stack[depth++] = value;
	}
	*out = stack[depth > 0 ? depth - 1 : 0];
	return depth > 0;
}

static bool apply_rule(const struct rule *rule, const struct mg_registers *registers,
		       const uint64_t *cfa, uint64_t *out)
{
	uint64_t at = (cfa != NULL ? *cfa : 0) + (uint64_t)rule->value;

	switch (rule->kind) {
	case CFA_PLUS: *out = at; return true;
	case AT_CFA: return mg_read(at, out, sizeof *out);
	case EXPRESSION: return evaluate(rule->expression, registers, cfa, out);
	case AT_EXPRESSION:
		return evaluate(rule->expression, registers, cfa, &at) &&
		       mg_read(at, out, sizeof *out);
	case REGISTER:
		if (rule->number >= MG_REGISTERS || !(registers->known & 1u << rule->number))
			return false;
		*out = registers->reg[rule->number] + (uint64_t)rule->value;
		return true;
	default: return false;
	}
}

/* Opens the record at this address; whether its function is the one around pc. */
static bool open_records(uint64_t address, uint64_t pc, struct record *own, struct record *common,
			 struct program *program)
{
	uint64_t bytes;

	memset(program, 0, sizeof *program);
	if (address == 0 || !open_record(own, address, &address) ||
	    !open_common(common, address, program))
		return false;
	program->location = read_pointer(own, program->encoding);
	bytes = read_pointer(own, program->encoding & 0x0f);
	if (program->has_augmentation)
		read_part(&own->reader, read_uleb(&own->reader));
	return !own->reader.is_bad && pc - program->location < bytes;
}

/* The record of the function around pc; its reader is left at the function's own instructions. */
static bool open_function(uint64_t hdr, uint64_t pc, struct record *own, struct record *common,
			  struct program *program)
{
	static _Atomic uint64_t found[FOUND]; /* addresses, by pc: a search is twenty reads */
	uint64_t address = atomic_load(&found[pc % FOUND]);

	if (open_records(address, pc, own, common, program))
		return true;
	address = search_record(hdr, pc);
	if (!open_records(address, pc, own, common, program))
		return false;
	atomic_store(&found[pc % FOUND], address);
	return true;
}

HANDLER uint64_t mg_cfi_function(uint64_t hdr, uint64_t pc)
{
	struct record own, common;
	struct program program;

	return open_function(hdr, pc, &own, &common, &program) ? program.location : 0;
}

HANDLER enum mg_cfi mg_cfi_step(uint64_t hdr, uint64_t pc, struct mg_registers *registers)
{
	struct record own, common;
	struct program program;
	struct mg_registers caller = *registers;
	uint64_t start, cfa;

	if (!open_function(hdr, pc, &own, &common, &program))
		return MG_CFI_NONE;
	start = program.location;
	program.reader = common.reader;
	if (!run(&program, pc))
		return MG_CFI_BROKEN;
	program.initial = program.row;
	program.reader = own.reader;
	program.location = start;
	if (!run(&program, pc) || !apply_rule(&program.row.cfa, registers, NULL, &cfa))
		return MG_CFI_BROKEN;
	caller.reg[MG_RSP] = cfa;
	for (unsigned i = 0; i < MG_REGISTERS; i++) {
		if (program.row.reg[i].kind == SAME)
			continue;
		caller.known &= ~(1u << i);
		if (apply_rule(&program.row.reg[i], registers, &cfa, &caller.reg[i]))
			caller.known |= 1u << i;
	}
	*registers = caller;
	if (program.row.reg[MG_RA].kind == UNDEFINED || caller.reg[MG_RA] == 0)
		return MG_CFI_END;
	return caller.known & 1u << MG_RA ? MG_CFI_STEPPED : MG_CFI_BROKEN;
}
