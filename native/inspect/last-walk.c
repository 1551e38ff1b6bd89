/*
 * The last walk of a thread, for its next one: the callers are mostly the same.
 *
 * WHY      A stack of Node.js has forty frames, of which two or three differ from one write to the
 *          next. To walk and name them all costs ten times what letting the write through costs.
 * SAME     At a return address the rest of a walk follows from the registers that are known there
 *          and from the stack above. Where both are as in the last walk, byte by byte, its frames
 *          are taken. They call each other still, so their modules and functions are alive.
 * NOT KEPT walks through a signal handler (two stacks), those that were cut, stacks of another
 *          thread. Of a stack of more than MG_WALK_BYTES the outermost part counts.
 * HANDLER  All of it. The stack is read by mg_read_now(), once.
 * LIMITS   A function of JavaScript that takes the place of another one, at the same address, with
 *          its code at the same address, called from the same place, has the other's name.
 */
#include "v8.h"

/* How V8's heap is read now: names that were found in another way do not count. */
static uint32_t way(void)
{
	return 1u + mg_v8.is_known + 2u * mg_v8.has_flag_bits;
}

static bool is_same(const struct mg_registers *a, const struct mg_registers *b)
{
	for (unsigned i = 0; i < MG_REGISTERS; i++)
		if ((a->known & 1u << i) && a->reg[i] != b->reg[i])
			return false;
	return a->known == b->known;
}

HANDLER void mg_walk_begin(struct mg_walk *walk)
{
	uint64_t *was = (uint64_t *)walk->stack[0], *is = (uint64_t *)walk->stack[1];
	uint64_t words = walk->bytes / 8;

	walk->differs_to = UINT64_MAX;
	walk->new_steps = 0;
	if (walk->way != way() || walk->tid != mg_tid()) {
		walk->bytes = walk->steps = 0;
		memset(walk->kept, 0, sizeof walk->kept);
		walk->tid = mg_tid();
		walk->way = way();
	} else if (walk->steps > 0 && mg_read_now(walk->low, is, walk->bytes)) {
		while (words > 0 && was[words - 1] == is[words - 1])
			words--;
		walk->differs_to = walk->low + 8 * words;
	}
}

/* At a return address, before its frame: how many frames the last walk had from here on. */
HANDLER uint32_t mg_walk_rest(struct mg_walk *walk, const struct mg_registers *registers,
			      uint32_t count, struct mg_frame *frames, uint32_t max)
{
	struct mg_step *last = walk->step;
	uint32_t rest;

	walk->rest = 0;
	if (registers->reg[MG_RSP] >= walk->differs_to) {
		while (last < walk->step + walk->steps && !is_same(&last->registers, registers))
			last++;
		rest = walk->frames - last->frame;
		if (last < walk->step + walk->steps && rest <= max) {
			walk->rest = (uint32_t)(walk->step + walk->steps - last);
			memcpy(frames, walk->frame + last->frame, rest * sizeof *frames);
			return rest;
		}
	}
	if (walk->new_steps < MG_FRAMES_MAX)
		walk->new_step[walk->new_steps++] = (struct mg_step){ *registers, count };
	return 0;
}

HANDLER void mg_walk_end(struct mg_walk *walk, const struct mg_frame *frames, uint32_t count,
			 bool is_whole)
{
	uint32_t kept = walk->rest, first = walk->steps - kept, added = walk->new_steps;
	const struct mg_registers *inner, *outer;
	uint64_t low, high;

	is_whole = is_whole && kept + added > 0 && kept + added <= MG_FRAMES_MAX;
	walk->steps = 0;
	if (!is_whole)
		return;
	for (uint32_t i = 0, moved = walk->frames; i < kept; i++)
		walk->step[first + i].frame += count - moved;
	memmove(walk->step + added, walk->step + first, kept * sizeof *walk->step);
	memcpy(walk->step, walk->new_step, added * sizeof *walk->step);
	memcpy(walk->frame, frames, count * sizeof *frames);
	walk->frames = count;
	inner = &walk->step[0].registers;
	outer = &walk->step[kept + added - 1].registers;
	low = inner->reg[MG_RSP] & ~7ul;
	high = outer->reg[MG_RSP] & ~7ul;
	if ((outer->known & 1u << MG_RBP) && outer->reg[MG_RBP] - high < MG_WALK_BYTES / 2)
		high = outer->reg[MG_RBP] & ~7ul;
	high += 16;
	if (high - low > MG_WALK_BYTES)
		low = high - MG_WALK_BYTES;
	if (low >= walk->low && high == walk->low + walk->bytes && kept > 0) {
		memcpy(walk->stack[0], walk->stack[1], walk->differs_to - walk->low);
	} else {
		walk->low = low;
		walk->bytes = (uint32_t)(high - low);
		if (!mg_read_now(low, walk->stack[0], walk->bytes))
			return;
	}
	walk->steps = kept + added;
}
