/*
 * Arguments and results: the only code of the addon that looks at JS values.
 *
 * A typed array gives its address and true length (also over a SharedArrayBuffer and over a
 * shared WebAssembly.Memory, on every supported Node.js); offset and length are checked against
 * it without overflow, because both are below 2^53 and are compared by subtraction.
 */
#include "millrace.h"

#include <stdio.h>
#include <string.h>

static bool throw_type(napi_env env, const char *name, const char *want)
{
	char text[128];

	snprintf(text, sizeof(text), "%s must be %s", name, want);
	napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", text);
	return false;
}

static bool throw_range(napi_env env, const char *name, double found, double min, double max)
{
	char text[160], number[32] = "NaN";

	if (found == found)
		snprintf(number, sizeof(number), "%.17g", found);
	snprintf(text, sizeof(text), "%s must be an integer from %.0f to %.0f, found %s", name, min,
		 max, number);
	napi_throw_range_error(env, "ERR_OUT_OF_RANGE", text);
	return false;
}

bool read_args(napi_env env, napi_callback_info info, napi_value *args, size_t count)
{
	size_t found = count;

	if (napi_get_cb_info(env, info, &found, args, NULL, NULL) != napi_ok || found < count)
		return throw_type(env, "the argument list", "longer: an argument is missing");
	return true;
}

bool arg_number(napi_env env, napi_value value, const char *name, double min, double max,
		double *out)
{
	if (napi_get_value_double(env, value, out) != napi_ok)
		return throw_type(env, name, "a number");
	/* The negation also refuses NaN; the limits keep the conversion defined. */
	if (!(*out >= min && *out <= max) || *out != (double)(int64_t)*out)
		return throw_range(env, name, *out, min, max);
	return true;
}

bool arg_int(napi_env env, napi_value value, const char *name, int min, int max, int *out)
{
	double number;

	if (!arg_number(env, value, name, min, max, &number))
		return false;
	*out = (int)number;
	return true;
}

bool arg_fd(napi_env env, napi_value value, int *out)
{
	return arg_int(env, value, "fd", 0, INT32_MAX, out);
}

static bool arg_array(napi_env env, napi_value value, napi_typedarray_type want, uint8_t **data,
		      size_t *length)
{
	napi_typedarray_type type;
	void *address = NULL;

	/* It refuses what is not a typed array: napi_is_typedarray would ask the same again. */
	if (napi_get_typedarray_info(env, value, &type, length, &address, NULL, NULL) != napi_ok ||
	    type != want)
		return throw_type(env, "the array",
				  want == napi_uint8_array ? "a Uint8Array" : "an Int32Array");
	*data = address;
	return true;
}

bool arg_slice(napi_env env, const napi_value *args, uint8_t **data, size_t *length)
{
	double offset, wanted;
	size_t have;

	if (!arg_array(env, args[0], napi_uint8_array, data, &have) ||
	    !arg_number(env, args[1], "offset", 0, (double)have, &offset) ||
	    !arg_number(env, args[2], "length", 0, (double)have - offset, &wanted))
		return false;
	*data += (size_t)offset;
	*length = (size_t)wanted;
	return true;
}

bool check_least(napi_env env, const char *name, size_t length, double least)
{
	if ((double)length >= least)
		return true;
	return throw_range(env, name, (double)length, least, SAFE_INTEGER_MAX);
}

bool arg_room(napi_env env, const napi_value *args, size_t need, uint8_t **data)
{
	double offset;
	size_t have;

	if (!arg_array(env, args[0], napi_uint8_array, data, &have))
		return false;
	if (!check_least(env, "the array's length", have, (double)need) ||
	    !arg_number(env, args[1], "offset", 0, (double)(have - need), &offset))
		return false;
	*data += (size_t)offset;
	return true;
}

bool arg_words(napi_env env, const napi_value *args, int per_item, int max, int32_t **data,
	       int *count)
{
	uint8_t *address;
	size_t have;

	if (!arg_array(env, args[0], napi_int32_array, &address, &have))
		return false;
	have /= (size_t)per_item;
	*data = (int32_t *)(void *)address;
	return arg_int(env, args[1], "count", 1, have < (size_t)max ? (int)have : max, count);
}

bool arg_string(napi_env env, napi_value value, const char *name, char *out, size_t size)
{
	size_t length = 0;

	if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok)
		return throw_type(env, name, "a string");
	if (length == 0 || length >= size)
		return throw_range(env, name, (double)length, 1, (double)size - 1);
	napi_get_value_string_utf8(env, value, out, size, &length);
	if (strlen(out) != length)
		return throw_type(env, name, "a string without a zero byte");
	return true;
}

napi_value result_number(napi_env env, double value)
{
	napi_value out;

	return napi_create_double(env, value, &out) == napi_ok ? out : NULL;
}

napi_value result(napi_env env, int64_t value)
{
	return result_number(env, value == -1 ? -errno : (double)value);
}
