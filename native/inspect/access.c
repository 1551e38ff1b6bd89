/*
 * What an instruction that was stopped is about to do to memory: where, with which bytes, and
 * whether it may.
 *
 * HANDLER  All of it. Registers are those of the context; memory is read by mg_read() alone.
 */
#include "inspect.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UNKNOWN_BYTES 16384ul /* more than any instruction of unknown width writes (XSAVE) */
#define YMM_HIGH 576          /* of the upper halves in the context's XSAVE area */

/* Adds 0 to the word, in the kernel and atomically. */
HANDLER bool mg_can_write(uint64_t address)
{
	static uint32_t nobody;
	uint32_t add_nothing = FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0);

	return syscall(SYS_futex, &nobody, FUTEX_WAKE_OP_PRIVATE, 0, 0L, address & ~3ul,
		       add_nothing) >= 0;
}

HANDLER bool mg_decode_at(uint64_t pc, uint8_t *code, struct mg_insn *insn)
{
	size_t room = MG_CODE_BYTES;

	if (!mg_read(pc, code, room)) {
		room = least(room, MG_PAGE - pc % MG_PAGE);
		if (!mg_read(pc, code, room))
			room = 0;
	}
	return mg_decode(code, room, insn);
}

HANDLER uint64_t mg_access_start(const struct mg_insn *insn, const greg_t *registers,
				 uint64_t address)
{
	uint64_t start = (uint64_t)insn->displacement;

	if (!insn->knows_address)
		return address;
	if (insn->base_reg >= 0)
		start += (uint64_t)registers[insn->base_reg];
	if (insn->base_reg == REG_RIP)
		start += insn->length;
	if (insn->index_reg >= 0)
		start += (uint64_t)registers[insn->index_reg] << insn->scale;
	return address - start < (insn->width ? insn->width : UNKNOWN_BYTES) ? start : address;
}

HANDLER uint32_t mg_stored_bytes(const struct mg_insn *insn, const ucontext_t *context,
				 uint8_t *bytes)
{
	const greg_t *registers = context->uc_mcontext.gregs;
	const uint8_t *state = (const uint8_t *)context->uc_mcontext.fpregs;
	const uint8_t *xmm;

	if (insn->string_op == 'm')
		return mg_read((uint64_t)registers[REG_RSI], bytes, insn->width) ? insn->width : 0;
	if (insn->string_op == 's')
		memcpy(bytes, &registers[REG_RAX], 8);
	else if (insn->is_plain_mov && insn->has_immediate)
		memcpy(bytes, &insn->immediate, 8);
	else if (insn->is_plain_mov && insn->value_reg >= 0)
		memcpy(bytes, (uint8_t *)&registers[insn->value_reg] + insn->value_byte, 8 -
		       insn->value_byte);
	else if (insn->vector_reg >= 0 && state != NULL && insn->width <= 32) {
		xmm = (const uint8_t *)&context->uc_mcontext.fpregs->_xmm[insn->vector_reg];
		memcpy(bytes, xmm + insn->value_byte, 16 - insn->value_byte);
		if (insn->width == 32)
			memcpy(bytes + 16, state + YMM_HIGH + 16 * insn->vector_reg, 16);
	} else
		return 0;
	return insn->width;
}

HANDLER uint64_t mg_string_count(const struct mg_insn *insn, const greg_t *registers,
				 uint64_t start, uint64_t bytes)
{
	uint64_t at = (uint64_t)registers[REG_RDI] - start;
	uint64_t count = insn->is_rep ? (uint64_t)registers[REG_RCX] : 1;

	if (at >= bytes || insn->width > bytes - at)
		return 0;
	if (registers[REG_EFL] & MG_FLAG_DIRECTION)
		return least(count, at / insn->width + 1);
	return least(count, (bytes - at) / insn->width);
}

HANDLER uint32_t mg_repeated_bytes(const struct mg_insn *insn, const greg_t *registers,
				   uint8_t *bytes, uint32_t wanted)
{
	uint64_t from = (uint64_t)registers[REG_RSI], to = (uint64_t)registers[REG_RDI];
	uint32_t known = insn->width;

	if (insn->string_op == 's') {
		for (; known < wanted; known++)
			bytes[known] = bytes[known - insn->width];
		return known;
	}
	if (to > from && to - from < wanted) /* it copies what it writes */
		wanted = (uint32_t)(to - from);
	return mg_read(from, bytes, wanted) ? wanted : 0;
}
