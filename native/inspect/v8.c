/*
 * Names JavaScript frames inside a signal handler: function, file, line and column, out of V8's
 * heap as it lies in memory, without V8's help and without any flag.
 *
 * HOW        A JavaScript frame has a context at fp-8 and its JSFunction at fp-16. From there the
 *            SharedFunctionInfo gives the name and the Script; a source position table turns an
 *            offset into a place in the source:
 *              interpreted  the BytecodeArray at fp-32, the offset at fp-40 (a small integer)
 *              baseline     the same array; pc -> bytecode by the Code's table of pc differences
 *              optimised    the Code's own table, which knows inlined functions as well: Node asks
 *                           V8 for all positions always (an embedder that does not: calls only)
 * CODE       An optimised frame's Code is searched backward from the pc: machine code begins on
 *            64 bytes, and the header before it leads to a Code that leads back.
 * POSITIONS  A table has per entry the code offset and the place, as differences to the entry
 *            before, 7 bits a byte. Sign and zigzag, or two flag bits (`has_flag_bits`).
 * WHERE      node exports offsets and type numbers as v8dbg_*; what these do not tell is a default
 *            here. The calibration at start-up (TypeScript) proves it all, or gives it up.
 * LOOKED AT  V8 11.3 (Node 20), 12.4 (22), 13.6 (24), 14.6 (26): alike in all but the numbers. In
 *            24 and 26 a loop that Maglev compiled while it ran has the function's line alone.
 * HANDLER    All but mg_v8_start(): reads by mg_read() only, every loop with a bound of its own.
 * REFUSED    v8::Isolate::GetStackSample: no lines, and it runs V8's code on a damaged heap. The
 *            Script's table of line ends: not there until somebody asks V8 for a line.
 */
#include "v8.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>

struct mg_v8 mg_v8;

/* Finds the table of bytecode sizes among the program's constants: it is not always exported, but
   known by how it begins for operands of 1, of 2 and of 4 bytes (prefixes, then debug breaks). */
static int find_sizes(struct dl_phdr_info *program, size_t size, void *unused)
{
	static const uint8_t one[] = { 1, 1, 1, 1, 1, 2, 3, 4, 5 };

	(void)size, (void)unused;
	for (int i = 0; i < program->dlpi_phnum && mg_v8.bytecode_count == 0; i++) {
		const ElfW(Phdr) *header = &program->dlpi_phdr[i];
		const uint8_t *at = (const uint8_t *)(program->dlpi_addr + header->p_vaddr);
		const uint8_t *end = at + header->p_memsz;
		if (header->p_type != PT_LOAD || header->p_flags != PF_R)
			continue;
		for (; mg_v8.bytecode_count == 0 &&
		       (at = memmem(at, (size_t)(end - at), one, sizeof one)) != NULL; at++)
			for (uint32_t n = 128; n < 256 && at + 3 * n < end; n++)
				if (memcmp(at + n, one, 5) == 0 && at[n + 8] == 9 &&
				    memcmp(at + 2 * n, one, 5) == 0 && at[2 * n + 8] == 17)
					mg_v8.bytecode_sizes = at, mg_v8.bytecode_count = n;
	}
	return 1; /* the program itself comes first; no other is looked at */
}

int mg_v8_start(void)
{
	static const struct { const char *names[2]; int fallback; } fields[] = {
#define ENTRY(name, symbol, other, fallback) { { symbol, other }, fallback },
		FIELDS(ENTRY)
	};
	const char *(*version)(void) = dlsym(RTLD_DEFAULT, "_ZN2v82V810GetVersionEv");
	int *field = &mg_v8.function_shared;
	char symbol[128];

	for (size_t i = 0; i < sizeof fields / sizeof *fields && !mg_v8.is_known; i++) {
		const int *value = NULL;
		for (int n = 0; n < 2 && value == NULL; n++) {
			strcpy(stpcpy(symbol, "v8dbg_"), fields[i].names[n]);
			value = dlsym(RTLD_DEFAULT, symbol);
		}
		field[i] = value != NULL ? *value : fields[i].fallback;
		if (field[i] == REQUIRED)
			return -ENOSYS; /* this program does not describe V8's heap */
	}
	if (mg_v8.word_bytes != 8 || version == NULL)
		return -ENOTSUP; /* V8 compresses its pointers here */
	dl_iterate_phdr(find_sizes, NULL);
	mg_v8.has_flag_bits = atoi(version()) >= 14;
	mg_v8.is_known = true;
	return 0;
}

bool mg_v8_is_known(void)
{
	return mg_v8.is_known;
}

bool mg_v8_try(unsigned variant)
{
	mg_v8.has_flag_bits ^= variant == 1;
	mg_v8.is_known = variant < 2;
	return mg_v8.is_known;
}

/* Name of the function, and where it begins in its script (-1: not known). */
HANDLER static int64_t set_function(uint64_t shared, struct mg_frame *frame)
{
	uint64_t name = 0, words[8];
	int locals;
	int64_t start = -1;

	if (!word_at(shared, mg_v8.shared_name, &name) || type_of(name) != mg_v8.type_scope) {
		mg_v8_text(name, frame->function, sizeof frame->function);
		return -1;
	}
	/* ScopeInfo: names and facts of variables in contexts, then the function's own name and
	   slot, the inferred name and (in older V8) start and end. Which of them are there is in
	   flags whose bits move from version to version; here they are told by what they are. */
	words_at(name, 8, words, 5);
	locals = SMI(words[2]) & 0xffff; /* from 75 on their names are in a table */
	locals = locals < 75 ? 2 * locals : 1 + locals;
	if (mg_v8.scope_first > 4)
		start = SMI(words[3]);
	words_at(name, 8 + 8 * (mg_v8.scope_first + locals), words, 8);
	for (int i = 0; i < 6; i++) {
		if (frame->function[0] == 0)
			mg_v8_text(words[i], frame->function, sizeof frame->function);
		if (start < 0 && !IS_SMI(words[i]) && IS_SMI(words[i + 1]) &&
		    IS_SMI(words[i + 2]) && SMI(words[i + 1]) >= 0 &&
		    SMI(words[i + 1]) < SMI(words[i + 2]))
			return SMI(words[i + 1]);
	}
	return start;
}

/* "file:///a%20b" -> "/a b" */
HANDLER static void plain_path(char *to)
{
	for (const char *from = to + 7; (*to = *from) != 0; from++, to++)
		if (*from == '%' && from[1] != 0 && from[2] != 0) {
			for (int i = 1, value = 0; i < 3; i++, *to = (char)value)
				value = value * 16 + (from[i] & 15) + (from[i] > '9' ? 9 : 0);
			from += 2;
		}
}

/* One frame of the function at a place in its script; without one, at the function's own. */
HANDLER static void set_frame(uint64_t shared, const uint64_t *place, unsigned notes, uint64_t pc,
			      struct mg_frame *frame)
{
	uint64_t script = 0, name = 0;
	size_t size = sizeof frame->file;

	memset(frame, 0, sizeof *frame);
	frame->pc = pc;
	int64_t start = set_function(shared, frame);
	if (word_at(shared, mg_v8.shared_script, &script) && type_of(script) != mg_v8.type_script)
		word_at(script, 24, &script); /* under a debugger DebugInfo stands between */
	frame->kind = type_of(script) == mg_v8.type_script ? MG_FRAME_JS : MG_FRAME_BUILTIN;
	if (frame->kind == MG_FRAME_BUILTIN)
		return;
	frame->notes = notes | (place == NULL ? MG_NOTE_FUNCTION_LINE : 0);
	if (frame->function[0] == 0)
		strcpy(frame->function, "(anonymous)");
	if (!(word_at(script, SCRIPT_NAME, &name) && mg_v8_text(name, frame->file, size)) &&
	    !(word_at(script, SCRIPT_URL, &name) && mg_v8_text(name, frame->file, size)))
		strcpy(frame->file, "eval");
	if (strncmp(frame->file, "file:///", 8) == 0)
		plain_path(frame->file);
	mg_v8_line(script, place == NULL ? start : PLACE_CHARACTER(*place), frame);
}

struct code { /* machine code that V8 made */
	uint64_t object, start, deopt, positions;
	uint32_t size, flags;
};

/* Reads a Code object; true: the pc lies in it, or behind its last instruction, a call. */
HANDLER static bool read_code(uint64_t object, uint64_t pc, struct code *code)
{
	int first = mg_v8.bytecode_wrapper != 0 ? 8 : 16; /* since 12.4 relocations lie elsewhere */

	code->object = object;
	return type_of(object) == mg_v8.type_code && word_at(object, CODE_START, &code->start) &&
	       word_at(object, first, &code->deopt) &&
	       word_at(object, first + 8, &code->positions) &&
	       mg_read(object - 1 + (uint64_t)mg_v8.code_size, &code->size, 4) &&
	       mg_read(object - 1 + (uint64_t)mg_v8.code_flags, &code->flags, 4) &&
	       pc > code->start && pc - code->start <= code->size;
}

HANDLER static bool search_code(uint64_t pc, struct code *code)
{
	uint8_t block[MG_PAGE + CODE_ALIGN];
	uint64_t at = pc & ~(CODE_ALIGN - 1ul), object, end = at - CODE_MAX, base = 0;

	for (; at > end; at -= CODE_ALIGN) {
		if (base != (at & ~(MG_PAGE - 1))) {
			base = at & ~(MG_PAGE - 1);
			if (!mg_read(base - CODE_ALIGN, block, sizeof block))
				return false;
		}
		/* the header before the code: map, Code .. */
		memcpy(&object, block + (at - base) + CODE_ALIGN - mg_v8.stream_header + 8, 8);
		if ((object & 3) == 1 && read_code(object, pc, code) && code->start == at)
			return true;
	}
	return false;
}

/* The Code at the pc; of a builtin without a frame of its own, where it returns to. */
HANDLER static bool find_code(uint64_t *pc, const greg_t *registers, struct code *code)
{
	uint64_t base, bias, hdr;

	if (registers != NULL && *pc == (uint64_t)registers[REG_RIP] &&
	    mg_module(*pc, &base, &bias, &hdr) && base != 0)
		mg_read((uint64_t)registers[REG_RSP], pc, sizeof *pc);
	return mg_module(*pc, &base, &bias, &hdr) && base == 0 && search_code(*pc, code);
}

/* Maglev's code of a loop that was running: all places in its table are those of the loop's end. */
HANDLER static bool is_misplaced(const struct code *code)
{
	uint64_t loop; /* offset of its bytecode, or -1; two before the number of the compilation */

	return (code->flags & 15) == (uint32_t)mg_v8.kind_baseline + 1 &&
	       !(word_at(code->deopt, ARRAY_DATA + 8 * (mg_v8.deopt_id - 2), &loop) &&
		 SMI(loop) == -1);
}

HANDLER static uint32_t optimised(uint64_t shared, const struct code *code, uint64_t offset,
				  bool is_call, struct mg_frame *frames, uint32_t max)
{
	uint64_t place, literals, inlined, function, pc = code->start + offset;
	uint32_t count = 0;

	if (is_misplaced(code) ||
	    !mg_v8_place(code->positions, (int64_t)offset - is_call, &place) ||
	    !word_at(code->deopt, ARRAY_DATA + 8 * mg_v8.deopt_literals, &literals) ||
	    !word_at(code->deopt, ARRAY_DATA + 8 * mg_v8.deopt_inlined, &inlined)) {
		set_frame(shared, NULL, MG_NOTE_OPTIMIZED | MG_NOTE_MAY_HIDE, pc, frames);
		return 1;
	}
	for (; PLACE_INLINED(place) >= 0 && count + 1 < max; count++) {
		struct { uint64_t place; int32_t function, unused; } call;
		if (!word_at(inlined, ARRAY_DATA + 16 * PLACE_INLINED(place), &call.place) ||
		    !word_at(inlined, ARRAY_DATA + 16 * PLACE_INLINED(place) + 8, &function) ||
		    !word_at(literals, ARRAY_DATA + 8 * (uint16_t)function, &function))
			break;
		function &= ~2ul; /* a weak reference; in newer V8 to a wrapper */
		if (type_of(function) != mg_v8.type_shared && !word_at(function, 8, &function))
			break;
		set_frame(function, &place, MG_NOTE_OPTIMIZED | MG_NOTE_INLINED, pc,
			  &frames[count]);
		place = call.place;
	}
	set_frame(shared, &place, MG_NOTE_OPTIMIZED, pc, &frames[count]);
	return count + 1;
}

/* A function of WebAssembly: its frame has a mark where others have a context. No name: it is
   where V8's own heap does not lead. */
HANDLER static uint32_t wasm_frame(uint64_t mark, uint64_t pc, struct mg_frame *frames)
{
	uint64_t base, bias, hdr;

	if (mg_v8.frame_wasm == 0 || mark != (uint64_t)mg_v8.frame_wasm << 1 ||
	    !mg_module(pc, &base, &bias, &hdr) || base != 0)
		return 0;
	memset(frames, 0, sizeof *frames);
	frames->kind = MG_FRAME_WASM;
	frames->pc = pc;
	memcpy(frames->function, "WebAssembly", sizeof "WebAssembly");
	return 1;
}

HANDLER static uint32_t frames_of(uint64_t pc, uint64_t fp, const greg_t *registers,
				    struct mg_frame *frames, uint32_t max, struct code *found)
{
	struct { uint64_t offset, bytecode, unused, function, context; } slots;
	uint64_t shared, table = 0, place, given = pc;
	int positions = mg_v8.bytecode_wrapper != 0 ? 24 : 32, kind = 0;
	struct code code;

	if (!mg_v8.is_known || max == 0 || !mg_read(fp - 40, &slots, sizeof slots))
		return 0;
	if (wasm_frame(slots.context, pc, frames) > 0)
		return 1;
	int function = type_of(slots.function), context = type_of(slots.context);
	if (function < mg_v8.function_first || function > mg_v8.function_last ||
	    context < mg_v8.context_first || context > mg_v8.context_last ||
	    !word_at(slots.function, mg_v8.function_shared, &shared) ||
	    type_of(shared) != mg_v8.type_shared)
		return 0;
	/* The code decides: a frame that was optimised in a loop still has its bytecode in it. */
	if (find_code(&pc, registers, &code)) {
		kind = code.flags & 15;
		*found = code;
	}
	if (kind > mg_v8.kind_baseline)
		return optimised(shared, &code, pc - code.start, registers == NULL || pc !=
				 (uint64_t)registers[REG_RIP], frames, max);
	if (type_of(slots.bytecode) != mg_v8.type_bytecode) {
		set_frame(shared, NULL, MG_NOTE_OPTIMIZED | MG_NOTE_MAY_HIDE, given, frames);
		return 1;
	}
	bool is_baseline = kind == mg_v8.kind_baseline || !IS_SMI(slots.offset);
	int64_t offset = SMI(slots.offset) - mg_v8.bytecode_data + 1;
	bool is_found = word_at(slots.bytecode, positions, &table);
	if (is_baseline)
		is_found &= kind != 0 && mg_v8_bytecode(code.positions, slots.bytecode,
							pc - code.start, &offset);
	is_found = is_found && mg_v8_place(table, offset, &place);
	set_frame(shared, is_found ? &place : NULL,
		  is_baseline ? MG_NOTE_BASELINE : MG_NOTE_INTERPRETED, given, frames);
	return 1;
}

/*
 * All that the names of a frame follow from, but its Code: the function, its script, where in it.
 * Compiled code keeps other things where interpreted code has its bytecode.
 */
HANDLER static bool fill_key(uint64_t pc, uint64_t fp, const greg_t *registers, uint64_t *key)
{
	struct { uint64_t offset, bytecode, unused, function; } slots;
	uint64_t base, bias, hdr;
	bool is_compiled;

	memset(key, 0, sizeof ((struct mg_kept *)0)->key);
	if (!mg_v8.is_known || !mg_read(fp - 40, &slots, sizeof slots) ||
	    !mg_module(pc, &base, &bias, &hdr))
		return false;
	is_compiled = base == 0;
	key[0] = pc;
	key[1] = slots.function;
	key[2] = registers != NULL;
	if (!is_compiled) {
		key[2] ^= slots.offset; /* in its upper half */
		key[3] = slots.bytecode;
		if (registers != NULL && !mg_read((uint64_t)registers[REG_RSP], &key[4], 8))
			return false;
	}
	if (!word_at(slots.function, mg_v8.function_shared, &key[5]) ||
	    !word_at(key[5], mg_v8.shared_name, &key[6]) ||
	    !word_at(key[5], mg_v8.shared_script, &key[7]) || type_of(key[7]) != mg_v8.type_script)
		return false;
	words_at(key[7], 8, &key[8], 8); /* source, name, where it begins, number .. */
	return true;
}

HANDLER uint32_t mg_v8_frames(uint64_t pc, uint64_t fp, const greg_t *registers,
			      struct mg_frame *frames, uint32_t max)
{
	struct mg_walk *walk = mg_last_walk();
	uint64_t key[sizeof ((struct mg_kept *)0)->key / 8];
	struct code code = { 0 }, *was;
	struct mg_kept *kept;
	uint32_t count;

	_Static_assert(sizeof code <= sizeof key - 16 * sizeof *key, "a key has room for a Code");
	if (walk == NULL || !fill_key(pc, fp, registers, key))
		return frames_of(pc, fp, registers, frames, max, &code);
	kept = &walk->kept[(key[0] ^ key[1] >> 3 ^ key[2] >> 32) % 8];
	was = (struct code *)&kept->key[16];
	/* The Code must be there as it was; what it says is about its own start and size. */
	if (kept->count > 0 && kept->count <= max && memcmp(key, kept->key, 16 * sizeof *key) == 0 &&
	    (was->object == 0 ||
	     (read_code(was->object, was->start + 1, &code) && memcmp(&code, was, sizeof code) == 0))) {
		memcpy(frames, kept->frames, kept->count * sizeof *frames);
		return kept->count;
	}
	memset(&code, 0, sizeof code);
	count = frames_of(pc, fp, registers, frames, max, &code);
	kept->count = 0;
	/* Of compiled code that was not found the bytecode counts, which is not in the key. */
	if (count > 0 && count <= MG_KEPT_FRAMES && count < max && (code.object != 0 || key[3] != 0)) {
		memcpy(kept->key, key, 16 * sizeof *key);
		memcpy(&kept->key[16], &code, sizeof code);
		memcpy(kept->frames, frames, count * sizeof *frames);
		kept->count = count;
	}
	return count;
}
