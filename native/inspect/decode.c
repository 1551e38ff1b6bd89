/*
 * What one x86-64 instruction does to memory: length, write or not, width, address, stored value.
 *
 * WHY      The processor tells the address of a fault and nothing else. A report wants the bytes;
 *          a write that goes on elsewhere wants the register that carries the address.
 * HOW      FORMATS has a letter an opcode and gives the length. ROWS has the instructions that
 *          write, the first that fits counts; what is in no row reads. Both know legacy, VEX, EVEX
 *          and XOP encodings, not APX. An instruction that is not known has length 0, and is
 *          stepped over all the same: that needs its page alone.
 * HANDLER  Pure computation on the bytes given: no memory but the arguments, no state.
 * SHIFT    A register can carry another address when it is base or index and nothing else: not the
 *          value, not implied (rax of cmpxchg), not rsp (a signal would use it as the stack).
 * REFUSED  A disassembler library: thousands of lines for a question of four answers.
 */
#include "inspect.h"

/* . none, m ModRM, 1 2 4 immediate bytes (4: 2 with 66), q as the operand, b z ModRM + 1 4,
   e enter, o moffs, f g the groups F6 F7, ! invalid or a prefix. */
static const char FORMATS[2][256 + 1] = {
	"mmmm14!!mmmm14!!mmmm14!!mmmm14!!mmmm14!!mmmm14!!mmmm14!!mmmm14!!"
	"!!!!!!!!!!!!!!!!................!!!m!!!!4z1b....1111111111111111"
	"bz!bmmmmmmmmmmmm..........!.....oooo....14......11111111qqqqqqqq"
	"bb2.!!bze.2..1!.mmmm!!!.mmmmmmmm1111111144!1....!.!!..fg......mm",
	"mmmm!.....!.!m.bmmmmmmmmmmmmmmmmmmmm!!!!mmmmmmmm......!.!!!!!!!!"
	"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmbbbbmmm.mm!!mmmm"
	"4444444444444444mmmmmmmmmmmmmmmm...mbmmm...mbmmmmmmmmmmmmmbmmmmm"
	"mmbmbbbm........mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm",
};

enum { NP = 1, P66 = 2, PF3 = 4, PF2 = 8, PX = NP | P66, ANY = 15 };  /* mandatory prefix */
enum { LEG = 1, VEX = 2, EVX = 4, XOP = 8, SSE = LEG | VEX | EVX };   /* encodings */
enum {                                                                /* widths that are computed */
	UNKNOWN = 0, READ = 200, BV, V, V48, STACK, FULL, HALF, SCALAR, NARROW, PAIR, KMASK, FXSAVE,
};
enum { /* what else takes part */
	REG = 1, MOV = 2, IMM = 4, VEC = 8, HIGH = 16, RAX = 32, RCX = 64, RDX = 128, RBX = 256,
	FAR = 512,    /* not (only) at the address that base, index and displacement give */
	FIXED = 1024, /* no register to shift */
	PUSH = 2048,  /* below rsp, whatever else it reads */
	DI = 4096,    /* at rdi */
};

/* Opcodes that are `op` under `mask`; `ext`: the values of ModRM.reg, one bit each. */
#define X(map, mask, op, ext, width, flags, prefixes, encodings) \
	{ map, 0x##mask, 0x##op, 0x##ext, width, prefixes, encodings, flags }
#define L(map, mask, op, ext, width, flags) X(map, mask, op, ext, width, flags, ANY, LEG)

static const struct row {
	uint8_t map, mask, op, extensions, width, prefixes, encodings;
	uint16_t flags;
} ROWS[] = {
	L(0, fe, 38, ff, READ, 0), L(0, c6, 00, ff, BV, REG), L(0, fc, 80, 7f, BV, 0),
	L(0, fe, 86, ff, BV, REG), L(0, fe, 88, ff, BV, REG | MOV), L(0, ff, 8c, ff, 2, 0),
	L(0, ff, 8f, 01, STACK, 0), L(0, fe, c6, 01, BV, IMM | MOV), L(0, fe, c0, ff, BV, 0),
	L(0, fe, d0, ff, BV, 0), L(0, fe, d2, ff, BV, RCX), L(0, fe, f6, 0c, BV, 0),
	L(0, fe, fe, 03, BV, 0), L(0, ff, ff, 4c, STACK, PUSH), L(0, f8, 50, ff, STACK, PUSH),
	L(0, fd, 68, ff, STACK, PUSH), L(0, ff, e8, ff, STACK, PUSH), L(0, ff, 9c, ff, STACK, PUSH),
	L(0, ff, c8, ff, STACK, PUSH), L(0, fe, a2, ff, BV, RAX | MOV), L(0, fe, a4, ff, BV, DI),
	L(0, fe, aa, ff, BV, DI), L(0, fe, 6c, ff, BV, DI), L(0, ff, d9, 0c, 4, 0),
	L(0, ff, d9, 40, 28, 0), L(0, ff, d9, 80, 2, 0), L(0, ff, db, 0e, 4, 0),
	L(0, ff, db, 80, 10, 0), L(0, ff, dd, 0e, 8, 0), L(0, ff, dd, 40, 108, 0),
	L(0, ff, dd, 80, 2, 0), L(0, ff, df, 0e, 2, 0), L(0, ff, df, 40, 10, 0),
	L(0, ff, df, 80, 8, 0), L(1, ff, 00, 03, 2, 0), L(1, ff, 01, 03, 10, 0),
	L(1, ff, 01, 10, 2, 0), X(1, ff, 11, ff, SCALAR, VEC, ANY, SSE),
	X(1, ff, 13, ff, 8, VEC, PX, SSE), X(1, ff, 17, ff, 8, VEC | HIGH, PX, SSE),
	X(1, ff, 29, ff, FULL, VEC, PX, SSE), X(1, ff, 2b, ff, SCALAR, VEC, ANY, SSE),
	X(1, ff, 7e, ff, V48, 0, NP, LEG), X(1, ff, 7e, ff, V48, VEC, P66, SSE),
	X(1, ff, 7f, ff, 8, 0, NP, LEG), X(1, ff, 7f, ff, FULL, VEC, ANY, SSE),
	X(1, ff, d6, ff, 8, VEC, P66, SSE), X(1, ff, e7, ff, 8, 0, NP, LEG),
	X(1, ff, e7, ff, FULL, VEC, P66, SSE), X(1, ff, c3, ff, V48, REG | MOV, NP, LEG),
	X(1, ff, f7, ff, 8, DI, NP, LEG), X(1, ff, f7, ff, 16, DI, P66, SSE),
	X(1, ff, 91, ff, KMASK, 0, PX, VEX), L(1, f0, 90, ff, 1, 0), L(1, ef, ab, ff, V, REG | FAR),
	L(1, ff, b3, ff, V, REG | FAR), L(1, ff, ba, e0, V, 0), L(1, f7, a4, ff, V, REG),
	L(1, f7, a5, ff, V, REG | RCX), L(1, fe, b0, ff, BV, REG | RAX), L(1, fe, c0, ff, BV, REG),
	L(1, ff, c7, 02, PAIR, RAX | RBX | RCX | RDX),
	X(1, ff, c7, 30, UNKNOWN, RAX | RDX, NP, LEG), X(1, ff, ae, 01, FXSAVE, 0, NP, LEG),
	X(1, ff, ae, 08, 4, 0, NP, LEG | VEX), X(1, ff, ae, 50, UNKNOWN, RAX | RDX, NP, LEG),
	L(1, f7, a0, ff, STACK, PUSH), X(2, ff, f1, ff, V, REG, PX, LEG),
	X(2, ff, f9, ff, V48, REG | MOV, NP, LEG), X(2, ff, f8, ff, 64, FAR | FIXED, P66, LEG),
	X(2, fe, 2e, ff, FULL, 0, P66, VEX), X(2, ff, 8e, ff, FULL, 0, P66, VEX),
	X(2, fe, 8a, ff, FULL, FAR, P66, EVX), X(2, ff, 63, ff, FULL, FAR, P66, EVX),
	X(2, fc, a0, ff, UNKNOWN, FAR | FIXED, P66, EVX), X(2, cc, 00, ff, NARROW, 0, PF3, EVX),
	X(2, ce, 04, ff, NARROW, 0, PF3, EVX), X(3, ff, 14, ff, 1, 0, P66, SSE),
	X(3, ff, 15, ff, 2, 0, P66, SSE), X(3, ff, 16, ff, V48, 0, P66, SSE),
	X(3, ff, 17, ff, 4, 0, P66, SSE), X(3, df, 19, ff, 16, 0, P66, VEX | EVX),
	X(3, df, 1b, ff, 32, 0, P66, EVX), X(3, ff, 1d, ff, HALF, 0, P66, VEX | EVX),
	X(5, ff, 11, ff, 2, VEC, PF3, EVX), X(5, ff, 7e, ff, 2, VEC, P66, EVX),
};

struct decoder {
	const uint8_t *code;
	size_t at, available;
	bool has_66, has_67, has_segment, has_lock, has_rex, is_masked;
	uint8_t rex;                /* W 8, R 4, X 2, B 1; of VEX and EVEX too */
	uint8_t prefix;      /* of NP .. PF2 */
	uint8_t encoding, map, opcode, vector_bytes;
	uint8_t modrm, reg;  /* reg: with the bits of the prefixes */
};

static const int8_t GREGS[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI,
	REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

/* The next bytes as a signed little-endian number; past the end: zeros, and `at` tells. */
static int64_t take(struct decoder *decoder, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++, decoder->at++)
		if (decoder->at < decoder->available)
			value |= (uint64_t)decoder->code[decoder->at] << 8 * i;
	return bytes == 0 || bytes == 8 ? (int64_t)value :
		(int64_t)(value << (64 - 8 * bytes)) >> (64 - 8 * bytes);
}

/* VEX (c4, c5), EVEX (62) and XOP (8f): prefix, map and REX bits in two or three bytes. */
static void take_vector(struct decoder *decoder, uint8_t first)
{
	uint8_t a = (uint8_t)take(decoder, 1), b = a, length;

	decoder->encoding = first == 0x62 ? EVX : first == 0x8f ? XOP : VEX;
	decoder->map = first == 0xc5 ? 1 : first == 0x62 ? a & 7 : a & 31;
	decoder->rex = ~a >> 5 & (first == 0xc5 ? 4 : 7);
	if (first != 0xc5) {
		b = (uint8_t)take(decoder, 1);
		decoder->rex |= b >> 4 & 8;
	}
	length = b >> 2 & 1;
	if (first == 0x62) {
		length = (uint8_t)take(decoder, 1);
		decoder->is_masked = (length & 7) != 0;
		length = length >> 5 & 3;
		decoder->reg = ~a & 16;
	}
	decoder->prefix = (uint8_t[]){ NP, P66, PF3, PF2 }[b & 3];
	decoder->vector_bytes = (uint8_t)(16 << length);
	decoder->opcode = (uint8_t)take(decoder, 1);
}

static void take_opcode(struct decoder *decoder)
{
	uint8_t byte, repeat = 0;

	for (;; decoder->has_rex = false, decoder->rex = 0) {
		byte = (uint8_t)take(decoder, 1);
		decoder->has_66 |= byte == 0x66;
		decoder->has_67 |= byte == 0x67;
		decoder->has_lock |= byte == 0xf0;
		decoder->has_segment |= byte == 0x64 || byte == 0x65;
		if (byte == 0xf2 || byte == 0xf3)
			repeat = byte;
		else if ((byte & 0xf0) == 0x40) {
			decoder->has_rex = true;
			decoder->rex = byte & 15;
			byte = (uint8_t)take(decoder, 1);
			break;
		} else if ((byte & 0xe7) != 0x26 && (byte & 0xfc) != 0x64 && byte != 0xf0)
			break;
	}
	decoder->prefix = repeat == 0xf3 ? PF3 : repeat == 0xf2 ? PF2 : decoder->has_66 ? P66 : NP;
	decoder->vector_bytes = 16;
	decoder->encoding = LEG;
	if (byte == 0xc4 || byte == 0xc5 || byte == 0x62 || (byte == 0x8f &&
	    decoder->at < decoder->available && (decoder->code[decoder->at] & 0x1f) >= 8)) {
		take_vector(decoder, byte);
		return;
	}
	decoder->opcode = byte;
	if (byte != 0x0f)
		return;
	decoder->opcode = (uint8_t)take(decoder, 1);
	decoder->map = decoder->opcode == 0x38 ? 2 : decoder->opcode == 0x3a ? 3 : 1;
	if (decoder->map > 1)
		decoder->opcode = (uint8_t)take(decoder, 1);
}

static char format_of(const struct decoder *decoder)
{
	static const char by_map[] = "!!mb!mm!bmz";
	char format;

	if (decoder->map > 1)
		return decoder->map < sizeof by_map - 1 ? by_map[decoder->map] : '!';
	format = FORMATS[decoder->map][decoder->opcode];
	if (decoder->encoding == LEG)
		return format;
	return decoder->map == 0 ? '!' : format == 'b' ? 'b' : decoder->opcode == 0x77 ? '.' : 'm';
}

/* ModRM, SIB and displacement. */
static void take_modrm(struct decoder *decoder, struct mg_insn *insn)
{
	uint8_t mod, base, sib;

	decoder->modrm = (uint8_t)take(decoder, 1);
	decoder->reg |= (decoder->modrm >> 3 & 7) | (decoder->rex & 4) << 1;
	mod = decoder->modrm >> 6;
	base = decoder->modrm & 7;
	if (mod == 3)
		return;
	insn->knows_address = true;
	if (base == 4) {
		sib = (uint8_t)take(decoder, 1);
		base = sib & 7;
		if ((sib >> 3 & 7) != 4 || decoder->rex & 2)
			insn->index_reg = GREGS[(sib >> 3 & 7) | (decoder->rex & 2) << 2];
		insn->scale = sib >> 6;
	}
	if (mod != 0 || base != 5)
		insn->base_reg = GREGS[base | (decoder->rex & 1) << 3];
	else if ((decoder->modrm & 7) == 5)
		insn->base_reg = REG_RIP;
	insn->displacement = take(decoder, mod == 1 ? 1 : mod == 2 || base == 5 ? 4 : 0);
}

static void take_operands(struct decoder *decoder, struct mg_insn *insn, char format)
{
	unsigned z = decoder->has_66 && !(decoder->rex & 8) ? 2 : 4;
	unsigned bytes = 0;

	if (strchr("mbzfg", format) != NULL)
		take_modrm(decoder, insn);
	switch (format) {
	case '1': case 'b': bytes = 1; break;
	case '2': bytes = 2; break;
	case '4': case 'z': bytes = z; break;
	case 'q': bytes = decoder->rex & 8 ? 8 : z; break;
	case 'e': bytes = 3; break;
	case 'f': bytes = decoder->modrm & 0x30 ? 0 : 1; break;
	case 'g': bytes = decoder->modrm & 0x30 ? 0 : z; break;
	case 'o': insn->displacement = take(decoder, decoder->has_67 ? 4 : 8); break;
	}
	insn->immediate = take(decoder, bytes);
}

static uint16_t width_of(const struct decoder *decoder, uint8_t code)
{
	static const uint8_t narrowings[] = { 1, 2, 3, 1, 2, 1 };
	uint16_t v = decoder->rex & 8 ? 8 : decoder->has_66 ? 2 : 4;

	switch (code) {
	case READ: case BV: return decoder->opcode & 1 ? v : 1;
	case V: return v;
	case V48: return decoder->rex & 8 ? 8 : 4;
	case STACK: return decoder->has_66 ? 2 : 8;
	case FULL: return decoder->vector_bytes;
	case HALF: return decoder->vector_bytes / 2;
	case SCALAR: return decoder->prefix == PF3 ? 4 : decoder->prefix == PF2 ? 8 :
		decoder->vector_bytes;
	case NARROW: return decoder->vector_bytes >> narrowings[decoder->opcode & 7];
	case PAIR: return decoder->rex & 8 ? 16 : 8;
	case KMASK: return (decoder->prefix == P66 ? 1 : 2) << (decoder->rex & 8 ? 2 : 0);
	case FXSAVE: return 512;
	default: return code;
	}
}

static void set_address(const struct decoder *decoder, struct mg_insn *insn, const struct row *row)
{
	uint32_t others = 1u << REG_RSP | 1u << REG_RIP;
	bool is_index_free, is_base_free;

	if (row->flags & (PUSH | DI)) {
		insn->base_reg = row->flags & DI ? REG_RDI : REG_RSP;
		insn->index_reg = -1;
		insn->displacement = row->flags & DI ? 0 : -(int64_t)insn->width;
		insn->knows_address = true;
	} else if (decoder->encoding == EVX && decoder->modrm >> 6 == 1) {
		insn->displacement *= insn->width;
	}
	insn->knows_address &= !(row->flags & FAR) && !decoder->has_67 &&
		(!decoder->has_segment || row->flags & (PUSH | DI));
	if (insn->value_reg >= 0)
		others |= 1u << insn->value_reg;
	others |= row->flags & RAX ? 1u << REG_RAX : 0;
	others |= row->flags & RCX ? 1u << REG_RCX : 0;
	others |= row->flags & RDX ? 1u << REG_RDX : 0;
	others |= row->flags & RBX ? 1u << REG_RBX : 0;
	if (row->flags & FIXED || decoder->has_67 || insn->base_reg == insn->index_reg)
		return;
	is_base_free = insn->base_reg >= 0 && !(others >> insn->base_reg & 1);
	is_index_free = insn->index_reg >= 0 && !(others >> insn->index_reg & 1);
	if (is_base_free || is_index_free)
		insn->shift_reg = is_base_free ? insn->base_reg : insn->index_reg;
	insn->shift_scale = is_base_free ? 0 : insn->scale;
}

static void set_access(const struct decoder *decoder, struct mg_insn *insn, const struct row *row)
{
	bool is_legacy = decoder->encoding == LEG;

	insn->is_write = row->width != READ;
	insn->width = width_of(decoder, row->width);
	insn->is_atomic = decoder->has_lock || (is_legacy && decoder->map == 0 &&
						(decoder->opcode & 0xfe) == 0x86);
	if (row->flags & REG) {
		bool is_high = insn->width == 1 && !decoder->has_rex && (decoder->reg & 0x1c) == 4;

		insn->value_reg = GREGS[is_high ? decoder->reg & 3 : decoder->reg & 15];
		insn->value_byte = is_high;
	} else if (row->flags & RAX && row->flags & MOV) {
		insn->value_reg = REG_RAX;
		insn->knows_address = true;
	} else if (row->flags & VEC && decoder->reg < 16 && !decoder->is_masked) {
		insn->vector_reg = (int8_t)decoder->reg;
		insn->value_byte = row->flags & HIGH ? 8 : 0;
	}
	insn->is_plain_mov = (row->flags & MOV) != 0;
	insn->has_immediate = (row->flags & IMM) != 0;
	if (row->flags & DI && decoder->map == 0 && !decoder->has_67 && decoder->opcode >= 0xa0) {
		insn->string_op = (decoder->opcode & 0xfe) == 0xaa ? 's' : 'm';
		if (insn->string_op == 'm' && decoder->has_segment)
			insn->string_op = 0;
		insn->is_rep = insn->string_op != 0 && decoder->prefix & (PF2 | PF3);
	}
	set_address(decoder, insn, row);
}

HANDLER bool mg_decode(const uint8_t *code, size_t available, struct mg_insn *insn)
{
	struct decoder decoder = { .code = code, .available = available < 15 ? available : 15 };
	static const struct row reading = { .width = READ };
	const struct row *row = NULL;
	char format;
	bool memory;

	*insn = (struct mg_insn){ .value_reg = -1, .vector_reg = -1, .base_reg = -1,
				  .index_reg = -1, .shift_reg = -1 };
	take_opcode(&decoder);
	format = format_of(&decoder);
	if (format != '!')
		take_operands(&decoder, insn, format);
	if (format == '!' || decoder.at > decoder.available)
		return false;
	memory = format == 'o' || (strchr("mbzfg", format) != NULL && decoder.modrm >> 6 != 3);
	insn->length = (uint8_t)decoder.at;
	for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS && row == NULL; i++) {
		const struct row *it = &ROWS[i];

		if (it->map == decoder.map && it->op == (decoder.opcode & it->mask) &&
		    it->prefixes & decoder.prefix && it->encodings & decoder.encoding &&
		    it->extensions >> (decoder.modrm >> 3 & 7) & 1)
			row = it;
	}
	if (row == NULL || (!memory && !(row->flags & (DI | PUSH))))
		row = &reading;
	set_access(&decoder, insn, row);
	return true;
}
