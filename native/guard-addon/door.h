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
extern const struct door_function V8_FUNCTIONS[];

/* Regions end with their environment, unless they ended before. */
void door_own(int id, napi_env env);
void door_end_regions(napi_env env);
extern const struct door_function MEMORY_FUNCTIONS[];

/* Takes all arguments, or throws and returns false. A letter each: i (int *, not negative),
   n (uint64_t *), s (char *, size_t: cut to size - 1 bytes), d = Float64Array (double **, the count
   that it must have), v (napi_value *), and at most one b = Uint8Array, offset, length (uint8_t **,
   size_t *): a slice that lies inside. */
bool door_take(napi_env env, napi_callback_info info, const char *letters, ...);
napi_value door_result(napi_env env, double value);

#endif
