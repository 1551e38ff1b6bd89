/*
 * Shared by the files of the guard's door to Node.js. As in native/: arguments are numbers, strings
 * and Uint8Arrays with offset and length, checked here against the array's true length; a result
 * is a value >= 0 or -errno (its sentence: problem()); a wrong argument throws TypeError or
 * RangeError. One file a subject, with a list of its functions; module.c exports the lists.
 */
#ifndef MILLRACE_GUARD_DOOR_H
#define MILLRACE_GUARD_DOOR_H

#define NAPI_VERSION 9
#include <node_api.h>

#include "core.h"

/* What a file exports: a NULL name ends the list. */
struct door_function {
	const char *name;
	napi_callback call;
};

extern const struct door_function REGION_FUNCTIONS[];
extern const struct door_function REPORT_FUNCTIONS[];
extern const struct door_function THREAD_FUNCTIONS[];
extern const struct door_function SEEN_FUNCTIONS[];

/* Of an environment that goes. */
void door_end_regions(napi_env env);
extern const struct door_function MEMORY_FUNCTIONS[];

#define NUMBER_MAX 9007199254740991.0

/* Each returns false after throwing. Names are those in the error's text. */
bool door_args(napi_env env, napi_callback_info info, napi_value *args, size_t count);
bool door_number(napi_env env, napi_value value, const char *name, double max, double *out);
bool door_int(napi_env env, napi_value value, const char *name, int max, int *out);
/* args[0] = Uint8Array, args[1] = offset, args[2] = length */
bool door_slice(napi_env env, const napi_value *args, uint8_t **data, size_t *length);
/* args[0] = Float64Array of at least `count` elements */
bool door_doubles(napi_env env, napi_value value, size_t count, double **data);
/* At most size - 1 bytes; a longer string is cut. */
bool door_string(napi_env env, napi_value value, const char *name, char *out, size_t size);
/* All arguments by their letters: n (double *), s (char[64]), v (napi_value *), and at most one
   b = Uint8Array, offset, length (uint8_t **, size_t *). */
bool door_take(napi_env env, napi_callback_info info, const char *format, ...);
napi_value door_result(napi_env env, double value);

#endif
