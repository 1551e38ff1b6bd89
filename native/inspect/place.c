/*
 * Places: who writes here was found out before, so the stack need not be walked again.
 *
 * WHY      To walk a stack and name its frames takes a hundred times as long as to let a write
 *          through. Where the answer is no report (`allow`; MG_ONCE, and its culprit was reported)
 *          the question is whether this is a place that was answered before.
 * KEY      what decides which frame is the first that is no machinery, and its line:
 *            code made at run time    the pc, and the function whose frame it is
 *            the program's own code   the pc
 *            the engine               the pc, and the return addresses up the frame pointers to
 *                                     JavaScript (then its function, bytecode and offset) or to
 *                                     the program's own code
 *          No key, and a walk, for all else: the C library (who called it?), stacks without frame
 *          pointers, code that was mapped just now. Objects that V8 moves get a new key.
 * HANDLER  All of it. An entry is one word, key and answer together.
 * LIMITS   When V8 frees code and puts other code at the same pc, for a function at the same
 *          address, that one inherits the answer.
 */
#include "v8.h"

#include <stdatomic.h>

enum { PLACES = 4096, WAYS = 4, FRAMES = 12, ANSWER_BITS = 12 };
#define SHARED_FUNCTION_DATA 8 /* number of the builtin, or bytecode, or code */
#define ANSWER_MASK ((1ul << ANSWER_BITS) - 1)

static _Atomic uint64_t places[PLACES + WAYS];

struct slots { /* below and at a frame pointer */
	uint64_t offset, bytecode, unused, function, context, caller_fp, caller_pc;
};

HANDLER static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 29;
}

enum owner { OWNER_NONE, OWNER_RUNTIME_CODE, OWNER_ENGINE, OWNER_PROGRAM };

HANDLER static enum owner owner_of(uint64_t pc, bool is_return_address)
{
	struct mg_frame frame;
	uint64_t base;

	switch (mg_code_at(pc - is_return_address, &base)) {
	case MG_CODE_NONE:
		return OWNER_NONE;
	case MG_CODE_RUNTIME:
		return OWNER_RUNTIME_CODE;
	default:
		if (base == mg_engine_base())
			return OWNER_ENGINE;
		mg_symbol(pc, is_return_address, &frame);
		return mg_is_program(&frame) ? OWNER_PROGRAM : OWNER_NONE;
	}
}

HANDLER static bool is_function(const struct slots *slots)
{
	int type = (slots->context & 3) == 1 ? type_of(slots->function) : NO_TYPE;

	return type >= mg_v8.function_first && type <= mg_v8.function_last;
}

/* A function of V8 itself, such as DataView's setters: who called it? */
HANDLER static bool is_builtin(const struct slots *slots)
{
	uint64_t shared, code;

	return word_at(slots->function, mg_v8.function_shared, &shared) &&
	       word_at(shared, SHARED_FUNCTION_DATA, &code) && IS_SMI(code);
}

/* Compiled code calls builtins that make no frame: where they return to, as v8.c finds it. */
HANDLER static uint64_t compiled_key(uint64_t key, const struct slots *slots, uint64_t sp)
{
	uint64_t pc, base;

	if (!mg_read(sp, &pc, sizeof pc) || mg_code_at(pc, &base) != MG_CODE_RUNTIME)
		return 0;
	return mix(mix(key, slots->function), pc);
}

/* From the engine's code to who called it; 0: that cannot be told. */
HANDLER static uint64_t engine_key(const struct mg_stop *stop, uint64_t key)
{
	uint64_t fp = stop->fp;
	enum owner owner = OWNER_ENGINE;
	struct slots slots;

	for (int i = 0; i < FRAMES && mg_read(fp - 40, &slots, sizeof slots); i++) {
		if (is_function(&slots) && !is_builtin(&slots)) {
			if (IS_SMI(slots.offset) && type_of(slots.bytecode) == mg_v8.type_bytecode)
				return mix(mix(mix(key, slots.function), slots.bytecode), slots.offset);
			/* The last return address was into it, or else into a builtin on top. */
			if (owner == OWNER_RUNTIME_CODE)
				return mix(key, slots.function);
			return i == 0 ? compiled_key(key, &slots, stop->sp) : 0;
		}
		key = mix(mix(key, is_function(&slots) ? slots.function : 0), slots.caller_pc);
		owner = owner_of(slots.caller_pc, true);
		if (owner == OWNER_PROGRAM)
			return key;
		if (owner == OWNER_NONE || slots.caller_fp <= fp)
			return 0;
		fp = slots.caller_fp;
	}
	return 0;
}

HANDLER uint64_t mg_place(const struct mg_stop *stop)
{
	uint64_t key = mix(mix(1, stop->about), stop->pc), function;

	switch (owner_of(stop->pc, false)) {
	case OWNER_PROGRAM:
		break;
	case OWNER_RUNTIME_CODE:
		if (!mg_read(stop->fp - 16, &function, sizeof function))
			return 0;
		key = mix(key, function);
		break;
	case OWNER_ENGINE:
		key = mg_v8.is_known ? engine_key(stop, key) : 0;
		break;
	default:
		return 0;
	}
	return key & ~ANSWER_MASK;
}

HANDLER bool mg_place_find(uint64_t place, uint32_t *answer)
{
	for (uint64_t i = 0, at = place >> ANSWER_BITS; i < WAYS && place != 0; i++) {
		uint64_t entry = atomic_load(&places[at % PLACES + i]);

		if ((entry & ~ANSWER_MASK) == place) {
			*answer = (uint32_t)(entry & ANSWER_MASK);
			return true;
		}
	}
	return false;
}

HANDLER void mg_place_keep(uint64_t place, uint32_t answer)
{
	static _Atomic uint32_t next;
	uint64_t at = (place >> ANSWER_BITS) % PLACES;

	if (place == 0 || answer > ANSWER_MASK)
		return;
	for (uint64_t i = 0; i < WAYS; i++) {
		uint64_t nothing = 0;

		if (atomic_compare_exchange_strong(&places[at + i], &nothing, place | answer))
			return;
	}
	atomic_store(&places[at + atomic_fetch_add(&next, 1) % WAYS], place | answer);
}
