/*
 * Walks a thread's stack from where it was stopped: native code and JavaScript.
 *
 * HANDLER  All of it, on a stack that may be damaged: memory is read by mg_read() alone, the stack
 *          pointer must grow from frame to frame, and frames are bounded by the caller.
 */
#include "core.h"

enum { RBP = 6, RSP = 7, RA = 16, REGISTERS = 17 };

/* One frame's registers, by their DWARF numbers; RA is where it executes. */
struct walk {
	uint64_t reg[REGISTERS];
	bool is_return_address; /* the call is before the pc */
};

static void start(struct walk *walk, const ucontext_t *context)
{
	static const uint8_t gregs[REGISTERS] = {
		REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
		REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP,
	};

	for (int i = 0; i < REGISTERS; i++)
		walk->reg[i] = (uint64_t)context->uc_mcontext.gregs[gregs[i]];
	walk->is_return_address = false;
}

static bool step_by_frame_pointer(struct walk *walk)
{
	uint64_t saved[2], fp = walk->reg[RBP];

	if ((fp & 7) != 0 || fp < walk->reg[RSP] || !mg_read(fp, saved, sizeof saved))
		return false;
	walk->reg[RBP] = saved[0];
	walk->reg[RA] = saved[1];
	walk->reg[RSP] = fp + sizeof saved;
	walk->is_return_address = true;
	return true;
}

HANDLER uint32_t mg_unwind(const ucontext_t *context, struct mg_frame *frames, uint32_t max)
{
	struct walk walk;
	uint64_t base, bias, hdr;
	uint32_t count = 0, found;

	start(&walk, context);
	while (count < max) {
		bool is_code = mg_module(walk.reg[RA], &base, &bias, &hdr);

		if (!is_code && walk.is_return_address)
			break;
		mg_symbol(walk.reg[RA], walk.is_return_address, &frames[count]);
		found = mg_v8_frames(walk.reg[RA], walk.reg[RBP], count == 0 ?
				     context->uc_mcontext.gregs : NULL, frames + count, max - count);
		count += found > 0 ? found : 1;
		if (!step_by_frame_pointer(&walk))
			break;
	}
	return count;
}
