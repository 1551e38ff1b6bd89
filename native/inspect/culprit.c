/*
 * The culprit: the first frame that the program's author wrote, not the machinery between it and
 * the write. All of it may run in a signal handler.
 */
#include "inspect.h"

/* A function of V8: the module that has it is the engine. NULL: no engine in this process. */
extern void engine_function(void) __asm__("_ZN2v87Isolate10GetCurrentEv") __attribute__((weak));

HANDLER bool mg_has_engine(void)
{
	return engine_function != NULL;
}

HANDLER uint64_t mg_engine_base(void)
{
	uint64_t base = 0, bias, header;

	if (engine_function)
		mg_module((uint64_t)engine_function, &base, &bias, &header);
	return base;
}

/* 0: the program's own code; the others count only where there is nothing better. */
HANDLER static int distance(const struct mg_frame *frame, uint64_t engine)
{
	static const char *const runtimes[] = { "libc.", "libc-", "libc++", "libm.", "libm-", "ld-",
		"libstdc++", "libgcc_s", "libpthread", "libdl.", "librt.", "libmillrace-guard",
		"[vdso", "linux-vdso", "libasan" };
	const char *name = strrchr(frame->module, '/');
	uint64_t base = 0, bias, header;

	if (frame->kind == MG_FRAME_JS || frame->kind == MG_FRAME_WASM)
		return strncmp(frame->file, "node:", 5) == 0; /* Buffer's methods, and the like */
	if (frame->kind == MG_FRAME_BUILTIN)
		return 4;
	if (frame->module[0] == '\0')
		return 1; /* code made at run time: JavaScript that could not be named */
	if (engine && mg_module(frame->pc, &base, &bias, &header) && base == engine)
		return 2;
	name = name ? name + 1 : frame->module;
	for (size_t i = 0; i < sizeof runtimes / sizeof runtimes[0]; i++)
		if (strncmp(name, runtimes[i], strlen(runtimes[i])) == 0)
			return 3;
	return 0;
}

HANDLER bool mg_is_program(const struct mg_frame *frame)
{
	return distance(frame, mg_engine_base()) == 0;
}

HANDLER uint32_t mg_culprit(const struct mg_frame *frames, uint32_t count)
{
	uint64_t engine = mg_engine_base();
	uint32_t culprit = count;
	int best = 5;

	for (uint32_t i = 0; i < count && best > 0; i++) {
		int found = distance(&frames[i], engine);

		if (found < best) {
			best = found;
			culprit = i;
		}
	}
	return culprit;
}

HANDLER uint32_t mg_outer_machinery(const struct mg_frame *frames, uint32_t count)
{
	uint64_t engine = mg_engine_base();
	uint32_t outer = 0;

	for (; engine && outer < count; outer++) {
		const struct mg_frame *frame = &frames[count - 1 - outer];

		if (distance(frame, engine) < 2 && strncmp(frame->file, "node:", 5) != 0)
			break;
	}
	return outer;
}

/* Not where a function of node: itself comes first, such as Buffer's, whose callers are many. */
HANDLER bool mg_is_first_to_blame(const struct mg_frame *frames, uint32_t count, uint32_t culprit)
{
	for (uint32_t i = 0; i < culprit && i < count; i++) {
		const struct mg_frame *frame = &frames[i];
		bool is_script = frame->kind == MG_FRAME_JS || frame->kind == MG_FRAME_WASM;

		if (is_script && !(frame->notes & MG_NOTE_INLINED))
			return false;
	}
	return culprit < count && mg_is_program(&frames[culprit]);
}

/* Whether one of the words, "a|b", is in the text. */
HANDLER static bool has_word(const char *text, const char *words)
{
	while (*words) {
		size_t length = strcspn(words, "|");

		for (const char *at = text; length > 0 && *at; at++)
			if (strncmp(at, words, length) == 0)
				return true;
		words += length + (words[length] == '|');
	}
	return false;
}

HANDLER bool mg_frame_has(const struct mg_frame *frame, const char *words)
{
	return has_word(frame->function, words) || has_word(frame->file, words);
}
