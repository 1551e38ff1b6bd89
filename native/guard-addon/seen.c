/* Who wrote what how often (native/guard/seen.c), and a culprit for demonstrations and tests. */
#include "door.h"

#include <stdatomic.h>

/* seen(index): [label, function, file, line, column, count] of a culprit, or null */
static napi_value seen(napi_env env, napi_callback_info info)
{
	const struct mg_seen *found;
	napi_value out, value;
	int index;

	if (!door_take(env, info, "i", &index))
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
	uint64_t offset, count, value;
	napi_value bytes;
	size_t length;
	void *data;

	if (!door_take(env, info, "vnnn", &bytes, &offset, &count, &value))
		return NULL;
	if (napi_get_typedarray_info(env, bytes, NULL, &length, &data, NULL, NULL) != napi_ok ||
	    offset > length || count > MG_PAGE)
		return door_result(env, -EINVAL);
	scribble_over((uint8_t *)data + offset, count, (uint8_t)value);
	return door_result(env, (double)count);
}

const struct door_function SEEN_FUNCTIONS[] = {
	{"seen", seen},
	{"scribble", scribble},
	{NULL, NULL},
};
