/* Arguments and results: as native/args.c, for the guard's addon. */
#include "door.h"

#include <stdarg.h>
#include <stdio.h>

#define NUMBER_MAX 9007199254740991.0

static bool refuse(napi_env env, bool is_range, const char *want)
{
	char text[120];

	snprintf(text, sizeof(text), "an argument is not %s", want);
	if (is_range)
		napi_throw_range_error(env, "ERR_OUT_OF_RANGE", text);
	else
		napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", text);
	return false;
}

static bool take_number(napi_env env, napi_value value, double max, double *out)
{
	char text[64];

	if (napi_get_value_double(env, value, out) != napi_ok)
		return refuse(env, false, "a number");
	/* NaN is refused as well; the limits keep the conversion defined. */
	if (*out >= 0 && *out <= max && *out == (double)(int64_t)*out)
		return true;
	snprintf(text, sizeof(text), "an integer from 0 to %.0f", max);
	return refuse(env, true, text);
}

static bool take_array(napi_env env, napi_value value, napi_typedarray_type want, void *data,
		       size_t *length)
{
	napi_typedarray_type type;

	*(void **)data = NULL;
	return (napi_get_typedarray_info(env, value, &type, length, data, NULL, NULL) == napi_ok &&
		type == want) ||
	       refuse(env, false, want == napi_uint8_array ? "a Uint8Array" : "a Float64Array");
}

static bool take_slice(napi_env env, const napi_value *args, uint8_t **data, size_t *length)
{
	double offset, wanted;

	if (!take_array(env, args[0], napi_uint8_array, data, length) ||
	    !take_number(env, args[1], (double)*length, &offset) ||
	    !take_number(env, args[2], (double)*length - offset, &wanted))
		return false;
	*data += (size_t)offset;
	*length = (size_t)wanted;
	return true;
}

static bool take(napi_env env, char letter, const napi_value *args, va_list *out)
{
	void *to = va_arg(*out, void *);
	double number;
	size_t length;

	switch (letter) {
	case 'i':
		if (!take_number(env, args[0], INT32_MAX, &number))
			return false;
		*(int *)to = (int)number;
		return true;
	case 'n':
		if (!take_number(env, args[0], NUMBER_MAX, &number))
			return false;
		*(uint64_t *)to = (uint64_t)number;
		return true;
	case 's':
		length = va_arg(*out, size_t);
		return napi_get_value_string_utf8(env, args[0], to, length, NULL) == napi_ok ||
		       refuse(env, false, "a string");
	case 'd':
		return take_array(env, args[0], napi_float64_array, to, &length) &&
		       (length >= va_arg(*out, size_t) || refuse(env, true, "long enough"));
	case 'b':
		return take_slice(env, args, to, va_arg(*out, size_t *));
	default:
		*(napi_value *)to = args[0];
		return true;
	}
}

bool door_take(napi_env env, napi_callback_info info, const char *letters, ...)
{
	size_t count = strlen(letters) + (strchr(letters, 'b') == NULL ? 0 : 2), found = count;
	bool is_good = true;
	napi_value args[12], *arg = args;
	va_list out;

	if (napi_get_cb_info(env, info, &found, args, NULL, NULL) != napi_ok || found < count)
		return refuse(env, false, "there");
	va_start(out, letters);
	for (; is_good && *letters != 0; arg += *letters++ == 'b' ? 3 : 1)
		is_good = take(env, *letters, arg, &out);
	va_end(out);
	return is_good;
}

napi_value door_result(napi_env env, double value)
{
	napi_value out;

	return napi_create_double(env, value, &out) == napi_ok ? out : NULL;
}
