/*
 * V8's heap, for v8.c (frames) and v8-positions.c (strings and places in sources): where things
 * are, and how an object is read that may be anything.
 */
#ifndef MILLRACE_INSPECT_V8_H
#define MILLRACE_INSPECT_V8_H

#include "inspect.h"

/* Field, names after "v8dbg_" (either), value where none is exported (REQUIRED: V8 is unknown). */
#define REQUIRED (-1000)
#define CLASS "class_"
#define FIELDS(F) \
	F(function_shared, CLASS "JSFunction__shared__SharedFunctionInfo", "", REQUIRED) \
	F(shared_name, CLASS "SharedFunctionInfo__name_or_scope_info__Tagged_NameOrScopeInfoT_", \
	  CLASS "SharedFunctionInfo__name_or_scope_info__Tagged_Object_", 16) \
	F(shared_script, CLASS "SharedFunctionInfo__script__Tagged_HeapObject_", \
	  CLASS "SharedFunctionInfo__script_or_debug_info__HeapObject", REQUIRED) \
	F(scope_first, "scopeinfo_idx_first_vars", "", REQUIRED) \
	F(bytecode_data, CLASS "BytecodeArray__data__uintptr_t", "", REQUIRED) \
	F(bytecode_wrapper, CLASS "BytecodeArray__wrapper__Tagged_BytecodeWrapper_", "", 0) \
	F(code_flags, CLASS "Code__flags__uint32_t", "", 48) \
	F(code_size, CLASS "Code__instruction_size__int", "", 56) \
	F(stream_header, CLASS "InstructionStream__instruction_start__uintptr_t", "", REQUIRED) \
	F(deopt_id, "DeoptimizationDataOptimizationIdIndex", "", REQUIRED) \
	F(deopt_literals, "DeoptimizationDataLiteralArrayIndex", "", REQUIRED) \
	F(deopt_inlined, "DeoptimizationDataInliningPositionsIndex", "", REQUIRED) \
	F(kind_baseline, "CodeKindBaseline", "", REQUIRED) \
	F(word_bytes, "TaggedSize", "", REQUIRED) \
	F(function_first, "type_JSFunction__JS_FUNCTION_TYPE", "", REQUIRED) \
	F(function_last, "LastJSFunctionType", "", 2082) \
	F(context_first, "FirstContextType", "", REQUIRED) \
	F(context_last, "LastContextType", "", REQUIRED) \
	F(type_shared, "type_SharedFunctionInfo__SHARED_FUNCTION_INFO_TYPE", "", REQUIRED) \
	F(type_scope, "type_ScopeInfo__SCOPE_INFO_TYPE", "", REQUIRED) \
	F(type_script, "type_Script__SCRIPT_TYPE", "", REQUIRED) \
	F(type_bytecode, "type_BytecodeArray__BYTECODE_ARRAY_TYPE", "", REQUIRED) \
	F(type_code, "type_Code__CODE_TYPE", "", REQUIRED) \
	F(type_bytes, "type_TrustedByteArray__TRUSTED_BYTE_ARRAY_TYPE", \
	  "type_ByteArray__BYTE_ARRAY_TYPE", REQUIRED) \
	F(frame_wasm, "frametype_WasmFrame", "", 0)
/* The same in all that were looked at: */
enum { SCRIPT_SOURCE = 8, SCRIPT_NAME = 16, SCRIPT_LINE = 24, SCRIPT_URL = 112,
       CODE_START = 40,
       MAP_KIND = 12, LENGTH = 8, ARRAY_DATA = 16, CODE_ALIGN = 64, NO_TYPE = 0xffff };
enum { STRING_DEPTH = 64, SOURCE_MAX = 1 << 26, TABLE_MAX = 1 << 20, CODE_MAX = 1 << 20 };

struct mg_v8 {
#define MEMBER(name, symbol, other, fallback) int name;
	FIELDS(MEMBER)
	bool is_known, has_flag_bits;
	const uint8_t *bytecode_sizes; /* [3][bytecode_count], for operands of 1, 2 and 4 bytes */
	uint32_t bytecode_count;
};
extern struct mg_v8 mg_v8;

/* Small integers are in the upper half of a word, with nothing below. */
#define IS_SMI(word) ((uint32_t)(word) == 0)
#define SMI(word) ((int32_t)((word) >> 32))

HANDLER static inline bool word_at(uint64_t object, int offset, uint64_t *out)
{
	return (object & 3) == 1 && mg_read(object - 1 + (uint64_t)offset, out, 8);
}

/* Words of an object that may be shorter, at the end of what is mapped: what is missing is 0. */
HANDLER static inline void words_at(uint64_t object, int offset, uint64_t *out, size_t count)
{
	memset(out, 0, 8 * count);
	if (!mg_read(object - 1 + (uint64_t)offset, out, 8 * count))
		for (size_t i = 0; i < count && word_at(object, offset + 8 * (int)i, &out[i]); i++)
			;
}

HANDLER static inline int type_of(uint64_t object)
{
	uint64_t map, word;

	return word_at(object, 0, &map) && word_at(map, MAP_KIND, &word) ? (uint16_t)word : NO_TYPE;
}

/* A place as V8 packs it: character in the source and number of the inlined call, or -1. */
#define PLACE_CHARACTER(packed) ((int64_t)((packed) >> 1 & 0x3fffffff) - 1)
#define PLACE_INLINED(packed) ((int)((packed) >> 31 & 0xffff) - 1)

/* v8-positions.c */
/* The string as UTF-8, cut on a character's border; false: there is none, or it is empty. */
HANDLER bool mg_v8_text(uint64_t string, char *out, size_t size);
/* The last entry of a source position table at or before the offset. */
HANDLER bool mg_v8_place(uint64_t table, int64_t offset, uint64_t *packed);
/* Sparkplug: the bytecode whose machine code ends at or behind pc_offset. */
HANDLER bool mg_v8_bytecode(uint64_t table, uint64_t bytecode, uint64_t pc_offset,
			    int64_t *offset);
/* Line and column by counting in the source, as V8 counts them. */
HANDLER void mg_v8_line(uint64_t script, int64_t position, struct mg_frame *frame);

#endif
