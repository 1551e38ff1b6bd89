/* Arguments and results: as native/args.c, for the guard's addon. */
#include "door.h"

#include <stdarg.h>
#include <stdio.h>

static bool refuse(napi_env env, const char *name, const char *want)
{
	char text[160];

	snprintf(text, sizeof(text), "%s must be %s", name, want);
	napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", text);
	return false;
}

bool door_args(napi_env env, napi_callback_info info, napi_value *args, size_t count)
{
	size_t found = count;

	if (napi_get_cb_info(env, info, &found, args, NULL, NULL) != napi_ok || found < count)
		return refuse(env, "the argument list", "longer: an argument is missing");
	return true;
}

bool door_number(napi_env env, napi_value value, const char *name, double max, double *out)
{
	char text[160];

	if (napi_get_value_double(env, value, out) != napi_ok)
		return refuse(env, name, "a number");
	/* The negation also refuses NaN; the limits keep the conversion defined. */
	if (*out >= 0 && *out <= max && *out == (double)(int64_t)*out)
		return true;
	snprintf(text, sizeof(text), "%s must be an integer from 0 to %.0f, found %.17g", name, max,
		 *out);
	napi_throw_range_error(env, "ERR_OUT_OF_RANGE", text);
	return false;
}

bool door_int(napi_env env, napi_value value, const char *name, int max, int *out)
{
	double number;

	if (!door_number(env, value, name, max, &number))
		return false;
	*out = (int)number;
	return true;
}

static bool get_array(napi_env env, napi_value value, napi_typedarray_type want, void **data,
		      size_t *length)
{
	napi_typedarray_type type;

	*data = NULL;
	if (napi_get_typedarray_info(env, value, &type, length, data, NULL, NULL) != napi_ok ||
	    type != want)
		return refuse(env, "the array",
			      want == napi_uint8_array ? "a Uint8Array" : "a Float64Array");
	return true;
}

bool door_slice(napi_env env, const napi_value *args, uint8_t **data, size_t *length)
{
	double offset, wanted;
	void *address;
	size_t have;

	if (!get_array(env, args[0], napi_uint8_array, &address, &have) ||
	    !door_number(env, args[1], "offset", (double)have, &offset) ||
	    !door_number(env, args[2], "length", (double)have - offset, &wanted))
		return false;
	*data = (uint8_t *)address + (size_t)offset;
	*length = (size_t)wanted;
	return true;
}

bool door_doubles(napi_env env, napi_value value, size_t count, double **data)
{
	void *address;
	size_t have;

	if (!get_array(env, value, napi_float64_array, &address, &have))
		return false;
	if (have < count)
		return refuse(env, "the array", "longer");
	*data = address;
	return true;
}

bool door_string(napi_env env, napi_value value, const char *name, char *out, size_t size)
{
	if (napi_get_value_string_utf8(env, value, out, size, NULL) != napi_ok)
		return refuse(env, name, "a string");
	return true;
}

napi_value door_result(napi_env env, double value)
{
	napi_value out;

	return napi_create_double(env, value, &out) == napi_ok ? out : NULL;
}

bool door_take(napi_env env, napi_callback_info info, const char *format, ...)
{
	napi_value args[10], *arg = args;
	size_t count = strlen(format);
	bool is_good;
	va_list out;

	count += strchr(format, 'b') == NULL ? 0 : 2;
	is_good = door_args(env, info, args, count);
	va_start(out, format);
	for (; is_good && *format != 0; format++, arg++) {
		if (*format == 'n') {
			is_good = door_number(env, *arg, "an argument", NUMBER_MAX,
					      va_arg(out, double *));
		} else if (*format == 's') {
			is_good = door_string(env, *arg, "an argument", va_arg(out, char *), 64);
		} else if (*format == 'v') {
			*va_arg(out, napi_value *) = *arg;
		} else {
			uint8_t **data = va_arg(out, uint8_t **);

			is_good = door_slice(env, arg, data, va_arg(out, size_t *));
			arg += 2;
		}
	}
	va_end(out);
	return is_good;
}
