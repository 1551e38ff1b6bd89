/*
 * Walks a thread's stack from where it was stopped: native code and JavaScript.
 *
 * HOW      Code with call frame information is left by it (cfi.c), through signal frames too; all
 *          other code (what V8 compiles, its builtins, assembly) by its frame pointer, and there
 *          V8 is asked for the JavaScript functions of the frame (v8.c). Both meet: leaving JSEntry
 *          by frame pointer gives the exact stack pointer of the C++ that called it, and a C++
 *          function's rules give back the frame pointer of the JavaScript that called it.
 * HANDLER  All of it, on a stack that may be damaged: memory is read by mg_read() alone, return
 *          addresses must lie in executable memory, the stack pointer must grow from frame to
 *          frame (but out of signal frames: an alternate stack may lie anywhere), and the number
 *          of frames is the caller's bound.
 * REFUSED  Scanning the stack for what looks like return addresses: it finds calls long returned.
 */
#include "inspect.h"

static void load(struct mg_registers *registers, const greg_t *gregs)
{
	static const uint8_t order[MG_REGISTERS] = {
		REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
		REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP,
	};

	for (int i = 0; i < MG_REGISTERS; i++)
		registers->reg[i] = (uint64_t)gregs[order[i]];
	registers->known = (1u << MG_REGISTERS) - 1;
}

/* Return address of a signal handler: mov $SYS_rt_sigreturn, %rax; syscall. */
static bool leave_signal_frame(struct mg_registers *registers, gregset_t gregs)
{
	static const uint8_t restore[] = { 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05 };
	uint8_t code[sizeof restore];

	if (!mg_read(registers->reg[MG_RA], code, sizeof code) ||
	    memcmp(code, restore, sizeof code) != 0 ||
	    !mg_read(registers->reg[MG_RSP] + offsetof(ucontext_t, uc_mcontext.gregs), gregs,
		     sizeof(gregset_t)))
		return false;
	load(registers, gregs);
	return true;
}

/* To the return address at `from`: of a frame pointer's frame, or where only a call was made. */
static bool leave_by(struct mg_registers *registers, uint64_t from, bool has_frame)
{
	uint64_t saved[2] = { registers->reg[MG_RBP], 0 };

	if ((from & 7) != 0 || from < registers->reg[MG_RSP] ||
	    !mg_read(from, has_frame ? &saved[0] : &saved[1], has_frame ? 16 : 8))
		return false;
	registers->reg[MG_RBP] = saved[0];
	registers->reg[MG_RA] = saved[1];
	registers->reg[MG_RSP] = from + (has_frame ? 16 : 8);
	if (has_frame)
		registers->known = 1u << MG_RBP | 1u << MG_RSP | 1u << MG_RA;
	return true;
}

static bool is_code(uint64_t pc)
{
	uint64_t base, bias, hdr;

	return mg_module(pc, &base, &bias, &hdr);
}

/* Whether the word at the top of the stack is a return address: an instruction calls before it. */
static bool is_call_at_top(const struct mg_registers *registers)
{
	uint64_t address;
	uint8_t code[7];

	if (!mg_read(registers->reg[MG_RSP], &address, sizeof address) || !is_code(address - 1) ||
	    !mg_read(address - sizeof code, code, sizeof code))
		return false;
	for (int i = 0; i < 6; i++)
		if (code[i] == 0xff && (code[i + 1] & 0x38) == 0x10)
			return true;
	return code[2] == 0xe8;
}

/* Whether the frame of a builtin is the one of this symbol: `set`, of Builtins_TypedArraySet. */
static bool is_same_builtin(const struct mg_frame *symbol, const struct mg_frame *builtin)
{
	size_t all = strlen(symbol->function), end = strlen(builtin->function);

	return builtin->kind == MG_FRAME_BUILTIN && end <= all &&
	       strcasecmp(symbol->function + all - end, builtin->function) == 0;
}

/*
 * Frames of code without call frame information. A builtin of V8 without a frame of its own runs
 * on top of the frame that the frame pointer shows: both are named.
 */
static uint32_t name_frames(const struct mg_registers *registers, const greg_t *innermost,
			    struct mg_frame *frames, uint32_t max)
{
	struct mg_frame symbol;
	uint32_t found, own;

	mg_symbol(registers->reg[MG_RA], innermost == NULL, &symbol);
	if (strncmp(symbol.function, "Builtins_", 9) == 0)
		symbol.kind = MG_FRAME_BUILTIN;
	found = mg_v8_frames(registers->reg[MG_RA], registers->reg[MG_RBP], innermost, frames, max);
	own = found == 0 || (innermost != NULL && found < max && symbol.kind == MG_FRAME_BUILTIN &&
			     !is_same_builtin(&symbol, frames));
	if (own > 0) {
		memmove(frames + 1, frames, found * sizeof *frames);
		*frames = symbol;
	} else if (frames->kind == MG_FRAME_BUILTIN) {
		memcpy(frames->module, symbol.module, sizeof symbol.module);
		frames->module_offset = symbol.module_offset;
	}
	return found + own;
}

/* Out of code without call frame information. */
static bool leave(struct mg_registers *registers, bool has_code, const struct mg_frame *frame,
		  bool is_innermost)
{
	bool is_leaf = is_innermost && frame->kind == MG_FRAME_NATIVE && frame->module[0] != 0 &&
		       is_call_at_top(registers);

	/* A jump to nowhere left nothing but its return address. */
	if (!has_code || is_leaf)
		return leave_by(registers, registers->reg[MG_RSP], false);
	return leave_by(registers, registers->reg[MG_RBP], true);
}

HANDLER uint32_t mg_unwind(const ucontext_t *context, struct mg_frame *frames, uint32_t max)
{
	gregset_t gregs;
	bool is_exact = true; /* stopped here; otherwise the pc is a return address */
	struct mg_registers registers, caller;
	struct mg_walk *walk = mg_last_walk();
	uint32_t count = 0, rest = 0;
	bool is_one_stack = true;

	if (walk != NULL)
		mg_walk_begin(walk);
	memcpy(gregs, context->uc_mcontext.gregs, sizeof gregs);
	load(&registers, gregs);
	while (count < max) {
		uint64_t pc = registers.reg[MG_RA], sp = registers.reg[MG_RSP];
		uint64_t base, bias, hdr = 0;
		bool has_code = mg_module(pc - !is_exact, &base, &bias, &hdr);
		struct mg_frame *frame = &frames[count];
		enum mg_cfi result;

		if (!has_code && !is_exact)
			break;
		if (walk != NULL && !is_exact)
			rest = mg_walk_rest(walk, &registers, count, frame, max - count);
		count += rest;
		if (rest > 0)
			break;
		if (!is_exact && leave_signal_frame(&registers, gregs)) {
			mg_symbol(pc, false, frame);
			strcpy(frame->function, "<signal handler called>");
			count++;
			is_exact = true;
			is_one_stack = false;
			continue;
		}
		caller = registers;
		result = has_code && hdr != 0 ? mg_cfi_step(hdr, pc - !is_exact, &caller) :
						MG_CFI_NONE;
		if (result == MG_CFI_NONE) {
			count += name_frames(&registers, is_exact ? gregs : NULL, frame, max - count);
			if (!leave(&caller, has_code, frame, is_exact))
				break;
		} else {
			mg_symbol(pc, !is_exact, frame);
			count++;
		}
		if (result > MG_CFI_STEPPED || caller.reg[MG_RSP] <= sp || caller.reg[MG_RA] == 0)
			break;
		registers = caller;
		is_exact = false;
	}
	if (walk != NULL)
		mg_walk_end(walk, frames, count, is_one_stack && count < max);
	return count;
}
