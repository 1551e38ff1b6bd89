/*
 * How a write goes on: old and new bytes for the report, then the write itself.
 *
 * WAYS      A plain store, MOVS and STOS are done here, REP in one go, where that can be done
 *           without a signal: in the alias or the scratch copy. All else is done by the processor:
 *           its base register shifted to the alias or the copy, or else with the page open; the
 *           trap flag gives the thread back after this one instruction.
 * OPEN      A page is open while `openers` threads step on it; its last one protects it again. All
 *           under the claim of the page, so nothing is lost between them and the owner. Who finds
 *           it protected again meanwhile (the owner did) faults once more: mg_step_again().
 *           Meanwhile other threads write there unnoticed; with the alias no page ever opens.
 * SIGNALS   All but the synchronous ones are held back during the step, so no handler runs with a
 *           shifted register or the trap flag, and none leaves by longjmp with a page open.
 * DIVERT    The scratch copy takes the bytes of the data before each write, so that an instruction
 *           that reads and writes sees what is there. Reads are not diverted: whoever reads back
 *           what he wrote reads the untouched data. Where nothing can be shifted the page opens,
 *           its bytes are kept, and put back.
 * HANDLER   All of it. Nothing is read or written here that could fault: foreign memory goes
 *           through process_vm_readv and _writev; aliases and copies live as long as the region.
 * REFUSED   Emulation of more instructions: the processor does it right. /proc/self/mem, which
 *           writes to protected pages: not to shared ones, and not everywhere.
 */
#include "core.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FLAG_TRAP 0x100
#define UNKNOWN_BYTES 16384ul /* more than any instruction of unknown width writes (XSAVE) */
#define OPCODE_PUSHF 0x9c
#define SYNCHRONOUS (1ul << (SIGSEGV - 1) | 1ul << (SIGTRAP - 1) | 1ul << (SIGBUS - 1) | \
		     1ul << (SIGILL - 1) | 1ul << (SIGFPE - 1) | 1ul << (SIGSYS - 1))

static bool write_to(uint64_t address, const void *bytes, size_t count)
{
	struct iovec from = { (void *)bytes, count }, to = { (void *)address, count };

	return syscall(SYS_process_vm_writev, getpid(), &from, 1L, &to, 1L, 0L) == (long)count;
}

HANDLER void mg_fill_bytes(struct mg_event *event, const ucontext_t *context)
{
	const greg_t *registers = context->uc_mcontext.gregs;
	const struct mg_region *region = event->region;
	const struct mg_insn *insn = &event->insn;
	uint32_t skip = (uint32_t)(event->address - mg_access_start(insn, registers, event->address));
	uint8_t stored[MG_BYTES_MAX + 8] = { 0 };
	uint32_t known = 0;

	event->width = insn->width > skip ? insn->width - skip : 0;
	if (event->kind == MG_EVENT_WRITE && insn->is_write)
		known = mg_stored_bytes(insn, context, stored);
	/* REP: all that it writes within the region; downwards (rare) its first element alone. */
	if (known > 0 && insn->is_rep && skip == 0 && !(registers[REG_EFL] & MG_FLAG_DIRECTION)) {
		uint64_t count = mg_string_count(insn, registers, region->start, region->bytes);

		event->width *= count > 0 ? (uint32_t)count : 1; /* 0: over the region's end */
		known = mg_repeated_bytes(insn, registers, stored,
					  (uint32_t)least(event->width, MG_BYTES_MAX));
	}
	event->new_known = known > skip ? (uint32_t)least(known - skip, MG_BYTES_MAX) : 0;
	memcpy(event->new_bytes, stored + skip, event->new_known);
	event->old_known = (uint32_t)least(event->width, MG_BYTES_MAX);
	if (!mg_read(event->address, event->old_bytes, event->old_known))
		event->old_known = 0;
}

static bool set_open(struct mg_region *region, uint64_t index, bool is_open)
{
	uint32_t state = is_open ? MG_PAGE_OPEN : atomic_load(&region->pages[index].state);

	return mg_set_access(region, region->start + index * MG_PAGE, MG_PAGE, state) == 0;
}

static uint64_t copy_of(const struct mg_region *region, uint64_t index)
{
	return region->scratch + region->bytes + index * MG_PAGE;
}

/* Opens a page for the step, or once more. */
static bool page_open(struct mg_thread *thread, struct mg_region *region, uint64_t index)
{
	struct mg_page *page = &region->pages[index];
	uint32_t at = 0;
	bool is_open;

	while (at < thread->step.page_count && (thread->step.pages[at].region != region ||
						thread->step.pages[at].index != index))
		at++;
	if (at == MG_STEP_PAGES_MAX)
		return false;
	if (at == thread->step.page_count && !mg_region_hold(region))
		return true;
	mg_page_claim(page);
	if (at == thread->step.page_count) {
		thread->step.pages[at].region = region;
		thread->step.pages[at].index = index;
		thread->step.page_count++;
		if (page->openers++ == 0 && thread->step.is_divert)
			mg_read(region->start + index * MG_PAGE, (void *)copy_of(region, index),
				MG_PAGE);
	}
	is_open = set_open(region, index, true);
	mg_page_release(page);
	return is_open;
}

static void pages_close(struct mg_thread *thread)
{
	while (thread->step.page_count > 0) {
		uint32_t at = --thread->step.page_count;
		struct mg_region *region = thread->step.pages[at].region;
		uint64_t index = thread->step.pages[at].index;
		struct mg_page *page = &region->pages[index];

		mg_page_claim(page);
		if (--page->openers == 0) {
			if (thread->step.is_divert && set_open(region, index, true))
				write_to(region->start + index * MG_PAGE,
					 (void *)copy_of(region, index), MG_PAGE);
			if (atomic_load(&page->state) != MG_PAGE_OPEN)
				set_open(region, index, false);
		}
		mg_page_release(page);
		atomic_fetch_sub(&region->users, 1);
	}
}

/* The write has happened. */
static void finish(struct mg_thread *thread)
{
	struct mg_event *event = &thread->event;
	uint32_t wanted = (uint32_t)least(event->width, MG_BYTES_MAX);

	if (thread->step.is_late && event->new_known < wanted &&
	    mg_read(event->address + thread->step.moved, event->new_bytes, wanted))
		event->new_known = wanted;
	pages_close(thread);
	atomic_fetch_sub(&thread->step.region->users, 1);
	if (thread->step.is_late)
		mg_publish(thread);
	thread->step.is_late = false;
	if (!thread->step.is_divert)
		mg_watch_stepped(thread);
}

/* MOVS and STOS, as far as they write within the region; page by page, for the source may end. */
static bool do_string(struct mg_thread *thread, uint64_t moved, greg_t *registers)
{
	const struct mg_insn *insn = &thread->event.insn;
	struct mg_region *region = thread->step.region;
	uint64_t width = insn->width, done = 0;
	uint64_t count = mg_string_count(insn, registers, region->start, region->bytes);
	int64_t sign = registers[REG_EFL] & MG_FLAG_DIRECTION ? -1 : 1;
	uint8_t buffer[MG_PAGE];

	for (uint64_t i = 0; insn->string_op == 's' && i < MG_PAGE; i++)
		buffer[i] = ((uint8_t *)&registers[REG_RAX])[i % width];
	while (done < count) {
		uint64_t to = (uint64_t)registers[REG_RDI], from = (uint64_t)registers[REG_RSI];
		uint64_t apart = to > from ? to - from : from - to, bytes = (count - done) * width;
		bool is_done, is_ready = true;

		/* Up to a page's end of either side; what overlaps sees what it wrote before. */
		bytes = least(bytes, sign > 0 ? MG_PAGE - to % MG_PAGE : to % MG_PAGE + width);
		if (insn->string_op == 'm')
			bytes = least(least(bytes, apart < width ? width : apart), sign > 0 ?
				      MG_PAGE - from % MG_PAGE : from % MG_PAGE + width);
		bytes = bytes < width ? width : least(bytes, MG_PAGE) / width * width;
		if (sign < 0) {
			to -= bytes - width;
			from -= bytes - width;
		}
		if (insn->string_op == 'm' && !mg_read(from, buffer, bytes))
			break;
		for (uint64_t at = to; moved == 0 && is_ready && at < to + bytes; at = (at | 4095) + 1)
			is_ready = page_open(thread, region, (at - region->start) / MG_PAGE);
		is_done = is_ready && write_to(to + moved, buffer, bytes);
		pages_close(thread);
		if (!is_done)
			break;
		done += bytes / width;
		registers[REG_RDI] += sign * (int64_t)bytes;
		registers[REG_RSI] += insn->string_op == 'm' ? sign * (int64_t)bytes : 0;
	}
	if (insn->is_rep)
		registers[REG_RCX] -= (greg_t)done;
	if (done > 0 && (!insn->is_rep || registers[REG_RCX] == 0))
		registers[REG_RIP] += insn->length;
	return done > 0;
}

/* In one access where the processor would make one. */
static void store(void *to, const uint8_t *bytes, uint32_t width)
{
	switch (width) {
	case 1: memcpy(to, bytes, 1); break;
	case 2: memcpy(to, bytes, 2); break;
	case 4: memcpy(to, bytes, 4); break;
	case 8: memcpy(to, bytes, 8); break;
	default: memcpy(to, bytes, width);
	}
}

static void step_begin(struct mg_thread *thread, ucontext_t *context)
{
	uint64_t mask = ~SYNCHRONOUS;

	thread->step.pc = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	memcpy(&thread->step.mask, &context->uc_sigmask, sizeof mask);
	memcpy(&context->uc_sigmask, &mask, sizeof mask); /* the kernel's part of it, not more */
	context->uc_mcontext.gregs[REG_EFL] |= FLAG_TRAP;
	thread->step.is_on = true;
}

static void step_end(struct mg_thread *thread, ucontext_t *context)
{
	greg_t *registers = context->uc_mcontext.gregs;

	thread->step.is_on = false;
	if (thread->step.shifted_reg >= 0)
		registers[thread->step.shifted_reg] -= (greg_t)thread->step.shift;
	if (!thread->step.had_trap_flag)
		registers[REG_EFL] &= ~FLAG_TRAP;
	memcpy(&context->uc_sigmask, &thread->step.mask, sizeof thread->step.mask);
}

/* By the shifted register, else with the pages open. */
static bool step_prepare(struct mg_thread *thread, uint64_t start, uint64_t moved,
			 greg_t *registers)
{
	const struct mg_insn *insn = &thread->event.insn;
	struct mg_region *region = thread->step.region;
	uint64_t at = start > region->start ? start : region->start, end = start + insn->width;

	if (moved != 0 && insn->shift_reg >= 0) {
		thread->step.moved = moved;
		thread->step.shift = (uint64_t)((int64_t)moved >> insn->shift_scale);
		thread->step.shifted_reg = insn->shift_reg;
		registers[insn->shift_reg] += (greg_t)thread->step.shift;
		return true;
	}
	if (insn->width == 0) { /* further pages when it faults there */
		at = thread->event.address;
		end = at + 1;
	}
	for (; at < least(end, region->start + region->bytes); at = (at | (MG_PAGE - 1)) + 1)
		if (!page_open(thread, region, (at - region->start) / MG_PAGE))
			return false;
	return true;
}

HANDLER bool mg_step_over(struct mg_thread *thread, struct mg_region *region, bool is_divert,
			  ucontext_t *context)
{
	greg_t *registers = context->uc_mcontext.gregs;
	struct mg_event *event = &thread->event;
	const struct mg_insn *insn = &event->insn;
	uint64_t start = mg_access_start(insn, registers, event->address), target, moved;
	uint64_t bytes = insn->width == 0 ? UNKNOWN_BYTES : insn->width;
	bool is_traced = (registers[REG_EFL] & FLAG_TRAP) != 0, is_done = false;

	if (!mg_region_hold(region))
		return true;
	target = event->kind != MG_EVENT_WRITE ? 0 : is_divert ? region->scratch : region->alias;
	moved = target == 0 ? 0 : target - region->start;
	thread->step.region = region;
	thread->step.is_divert = is_divert;
	thread->step.had_trap_flag = is_traced;
	thread->step.shifted_reg = -1;
	thread->step.moved = 0;
	if (insn->string_op != 0 && event->kind == MG_EVENT_WRITE && !is_traced)
		is_done = do_string(thread, moved, registers);
	/* Where it does not lie within the region as a whole, the other mapping has no place. */
	if (start - region->start >= region->bytes ||
	    bytes > region->bytes - (start - region->start) ||
	    (start == region->start && !insn->knows_address && bytes > 1))
		moved = 0;
	if (!is_done && moved != 0 && insn->string_op == 0 && !is_traced && insn->width > 0 &&
	    event->new_known == insn->width) {
		store((void *)(start + moved), event->new_bytes, insn->width);
		registers[REG_RIP] += insn->length;
		is_done = true;
	}
	if (is_done) {
		finish(thread);
		return true;
	}
	if (moved != 0 && is_divert && !mg_read(start, (void *)(start + moved), bytes))
		moved = 0;
	if (step_prepare(thread, start, moved, registers)) {
		step_begin(thread, context);
		return true;
	}
	pages_close(thread);
	atomic_fetch_sub(&region->users, 1);
	return false;
}

HANDLER bool mg_step_done(struct mg_thread *thread, const siginfo_t *info, ucontext_t *context)
{
	const struct mg_event *event = &thread->event;
	uint64_t top = (uint64_t)context->uc_mcontext.gregs[REG_RSP];
	uint16_t flags;

	if (!thread->step.is_on || (info->si_code == TRAP_PERF && thread->step.pc ==
				    (uint64_t)context->uc_mcontext.gregs[REG_RIP]))
		return false;
	step_end(thread, context);
	if (event->insn.length > 0 && event->code[event->insn.length - 1] == OPCODE_PUSHF &&
	    event->insn.base_reg == REG_RSP && mg_read(top, &flags, sizeof flags)) {
		flags &= thread->step.had_trap_flag ? 0xffff : (uint16_t)~FLAG_TRAP;
		write_to(top, &flags, sizeof flags);
	}
	finish(thread);
	return !thread->step.had_trap_flag;
}

HANDLER bool mg_step_again(struct mg_thread *thread, uint64_t address, ucontext_t *context)
{
	struct mg_region *region = mg_region_at(address);

	if (!thread->step.is_on)
		return false;
	if (region != NULL && address - region->start < region->bytes && thread->step.pc ==
	    (uint64_t)context->uc_mcontext.gregs[REG_RIP] &&
	    page_open(thread, region, (address - region->start) / MG_PAGE))
		return true;
	step_end(thread, context);
	finish(thread);
	return false;
}
