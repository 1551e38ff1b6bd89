/*
 * Shared by all files of the addon: how an argument is checked, how a result is returned.
 *
 * Rules of this folder: one function is one system call (or a tight loop of one); it returns a
 * value >= 0 or -errno; arguments are numbers and typed arrays with offset and length, checked
 * against the array's true length here in C; no state, no callbacks, no threads. A wrong argument
 * throws TypeError (ERR_INVALID_ARG_TYPE) or RangeError (ERR_OUT_OF_RANGE); everything that the
 * kernel says is a value. EINTR is retried, except by epoll_wait (a wait must be able to end).
 *
 * The typed face of each function, with man page and errno list, is in src/toolkit/sys.
 */
#ifndef MILLRACE_H
#define MILLRACE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define NAPI_VERSION 9

#include <errno.h>
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest integer that a JS number holds exactly. */
#define SAFE_INTEGER_MAX 9007199254740991.0

/* Repeats one system call while a signal interrupts it. */
#define RETRY(call) \
	({ \
		__typeof__(call) retried; \
		do \
			retried = (call); \
		while (retried == -1 && errno == EINTR); \
		retried; \
	})

/* What a file of the addon exports: a NULL name ends the list. */
struct native_function {
	const char *name;
	napi_callback call;
};

extern const struct native_function EPOLL_FUNCTIONS[];
extern const struct native_function SOCKET_FUNCTIONS[];
extern const struct native_function FILE_FUNCTIONS[];
extern const struct native_function PIPE_FUNCTIONS[];
extern const struct native_function PROCESS_FUNCTIONS[];

/* The rows of calls.c. */
napi_status export_calls(napi_env env, napi_value exports);

/* Names of the socket options, in the order of their indexes; NULL ends the list. */
const char *socket_option_name(size_t index);

/* Each returns false after throwing. Names are those in the error's text. */
bool read_args(napi_env env, napi_callback_info info, napi_value *args, size_t count);
bool arg_number(napi_env env, napi_value value, const char *name, double min, double max,
		double *out);
bool arg_int(napi_env env, napi_value value, const char *name, int min, int max, int *out);
bool arg_fd(napi_env env, napi_value value, int *out);
/* args[0] = Uint8Array, args[1] = offset, args[2] = length. */
bool arg_slice(napi_env env, const napi_value *args, uint8_t **data, size_t *length);
bool check_least(napi_env env, const char *name, size_t length, double least);
/* args[0] = Uint8Array, args[1] = offset; at least `need` bytes must follow. */
bool arg_room(napi_env env, const napi_value *args, size_t need, uint8_t **data);
/* args[0] = Int32Array, args[1] = count of its elements that may be used. */
bool arg_words(napi_env env, const napi_value *args, int per_item, int max, int32_t **data,
	       int *count);
/* A string of at most size - 1 UTF-8 bytes without a zero byte. */
bool arg_string(napi_env env, napi_value value, const char *name, char *out, size_t size);

/* value, or -errno when it is -1 */
napi_value result(napi_env env, int64_t value);
napi_value result_number(napi_env env, double value);

#endif
