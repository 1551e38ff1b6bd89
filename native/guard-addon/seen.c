/* Who wrote what how often (native/guard/seen.c), and a culprit for demonstrations and tests. */
#include "door.h"

#include <stdatomic.h>

/* seen(index): [label, function, file, line, column, count] of a culprit, or null */
static napi_value seen(napi_env env, napi_callback_info info)
{
	const struct mg_seen *found;
	napi_value args[1], out, value;
	int index;

	if (!door_args(env, info, args, 1) ||
	    !door_int(env, args[0], "index", MG_SEEN_MAX - 1, &index))
		return NULL;
	found = mg_seen_at((uint32_t)index);
	if (found == NULL)
		return napi_get_null(env, &out) == napi_ok ? out : NULL;

	const char *const texts[] = {found->label, found->function, found->file};
	const double numbers[] = {found->line, found->column, (double)atomic_load(&found->count)};

	if (napi_create_array_with_length(env, 6, &out) != napi_ok)
		return NULL;
	for (uint32_t i = 0; i < 3; i++)
		if (napi_create_string_utf8(env, texts[i], NAPI_AUTO_LENGTH, &value) != napi_ok ||
		    napi_set_element(env, out, i, value) != napi_ok ||
		    napi_create_double(env, numbers[i], &value) != napi_ok ||
		    napi_set_element(env, out, 3 + i, value) != napi_ok)
			return NULL;
	return out;
}

/* A bug on purpose: it writes as many bytes as it is told, and does not ask for the size. */
__attribute__((noinline)) static void scribble_over(uint8_t *bytes, size_t count, uint8_t value)
{
	volatile uint8_t *at = bytes;

	while (count-- > 0)
		*at++ = value;
}

/* scribble(bytes, offset, count, value): for the demonstration and for tests */
static napi_value scribble(napi_env env, napi_callback_info info)
{
	napi_value args[4], nothing[3];
	int count, value;
	uint8_t *data;
	size_t length;

	if (!door_args(env, info, args, 4))
		return NULL;
	nothing[0] = args[0];
	nothing[1] = args[1];
	if (napi_create_double(env, 0, &nothing[2]) != napi_ok ||
	    !door_slice(env, nothing, &data, &length) ||
	    !door_int(env, args[2], "count", MG_PAGE, &count) ||
	    !door_int(env, args[3], "value", UINT8_MAX, &value))
		return NULL;
	scribble_over(data, (size_t)count, (uint8_t)value);
	return door_result(env, count);
}

const struct door_function SEEN_FUNCTIONS[] = {
	{"seen", seen},
	{"scribble", scribble},
	{NULL, NULL},
};
