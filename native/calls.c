/*
 * System calls that need nothing but checked arguments: one row each.
 *
 * WHY         Most of the addon is "check the arguments, make the call, return value or -errno".
 *             Written once as an interpreter of rows, a new call is one line, and none can forget
 *             a check. What needs an address structure, a result besides the number or a C type
 *             that the kernel fills stands in a file of its own (socket.c, pipe.c, ...).
 * LAYOUT      A row: exported name, number of the call, whether EINTR is retried, arguments in the
 *             order of the kernel. A slice takes three JS arguments (array, offset, length) and
 *             gives two to the kernel (address, bytes); a constant takes none.
 * REFUSED     A door for any call by number: the list is closed, and every argument has a range.
 */
#include "millrace.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARGS_MAX 6
#define TEXT_BYTES PATH_MAX
#define SPLICE_BYTES_MAX 0x40000000

_Static_assert(sizeof(long) == 8, "arguments of 64 bits travel in one register");

enum kind { NOTHING, CONSTANT, INTEGER, SLICE, TEXT };

struct argument {
	enum kind kind;
	const char *name;
	/* INTEGER: its range. SLICE: its least bytes. TEXT: its bytes with the zero. */
	double min, max;
	/* CONSTANT: the value. INTEGER: bits that are always set. */
	long bits;
};

struct native_call {
	const char *name;
	long number;
	bool is_retried;
	struct argument args[ARGS_MAX];
};

#define CONST(value) {CONSTANT, NULL, 0, 0, (value)}
#define INT(name, min, max) {INTEGER, name, min, max, 0}
#define INT_WITH(name, min, max, bits) {INTEGER, name, min, max, bits}
#define FD INT("fd", 0, INT32_MAX)
#define BYTES {SLICE, "the array", 0, 0, 0}
#define BYTES_FROM(least) {SLICE, "the array", least, 0, 0}
#define STRING(name, size) {TEXT, name, 0, size, 0}
#define OFFSET(name) INT(name, 0, SAFE_INTEGER_MAX)
#define POSITIVE(name) INT(name, 1, SAFE_INTEGER_MAX)
#define MESSAGE_FLAGS INT_WITH("flags", 0, INT32_MAX, MSG_DONTWAIT | MSG_NOSIGNAL)

static const struct native_call CALLS[] = {
	{"epollCreate", SYS_epoll_create1, false, {CONST(EPOLL_CLOEXEC)}},
	{"eventfdCreate", SYS_eventfd2, false, {CONST(0), CONST(EFD_CLOEXEC | EFD_NONBLOCK)}},

	{"socketCreate", SYS_socket, false,
	 {INT("domain", 1, 255), INT_WITH("type", 1, 10, SOCK_NONBLOCK | SOCK_CLOEXEC),
	  INT("protocol", 0, 65535)}},
	{"bind", SYS_bind, false, {FD, BYTES}},
	{"connect", SYS_connect, false, {FD, BYTES}},
	{"listen", SYS_listen, false, {FD, INT("backlog", 0, INT32_MAX)}},
	{"recv", SYS_recvfrom, true, {FD, BYTES, MESSAGE_FLAGS, CONST(0), CONST(0)}},
	{"send", SYS_sendto, true, {FD, BYTES, MESSAGE_FLAGS, CONST(0), CONST(0)}},
	{"shutdown", SYS_shutdown, false, {FD, INT("how", SHUT_RD, SHUT_RDWR)}},
	{"setsockoptBytes", SYS_setsockopt, false,
	 {FD, INT("level", 0, 65535), INT("option", 0, 65535), BYTES}},

	{"openFile", SYS_openat, true,
	 {CONST(AT_FDCWD), STRING("path", TEXT_BYTES),
	  INT_WITH("flags", 0, INT32_MAX, O_CLOEXEC), INT("mode", 0, 07777)}},
	/* Not retried: Linux has freed the number even when it says EINTR. */
	{"closeFd", SYS_close, false, {FD}},
	{"pwrite", SYS_pwrite64, true, {FD, BYTES, OFFSET("fileOffset")}},
	{"pread", SYS_pread64, true, {FD, BYTES, OFFSET("fileOffset")}},
	{"fallocate", SYS_fallocate, true,
	 {FD, INT("keepSize", 0, FALLOC_FL_KEEP_SIZE), OFFSET("fileOffset"), POSITIVE("bytes")}},
	{"ftruncate", SYS_ftruncate, true, {FD, OFFSET("bytes")}},
	{"fdatasync", SYS_fdatasync, true, {FD}},
	{"fsync", SYS_fsync, true, {FD}},
	{"flockExclusive", SYS_flock, true, {FD, CONST(LOCK_EX | LOCK_NB)}},

	{"read", SYS_read, true, {FD, BYTES}},
	{"pipeCapacity", SYS_fcntl, false, {FD, CONST(F_GETPIPE_SZ)}},
	{"setPipeCapacity", SYS_fcntl, false,
	 {FD, CONST(F_SETPIPE_SZ), INT("bytes", 1, INT32_MAX)}},
	{"tee", SYS_tee, true,
	 {FD, FD, INT("length", 0, SPLICE_BYTES_MAX), CONST(SPLICE_F_NONBLOCK)}},

	{"uringSetup", SYS_io_uring_setup, false,
	 {INT("entries", 1, 32768), BYTES_FROM(120) /* the kernel takes no length */}},
	{"uringEnter", SYS_io_uring_enter, false,
	 {FD, INT("toSubmit", 0, 32768), INT("minComplete", 0, 32768), INT("flags", 0, 1),
	  CONST(0), CONST(0)}},

	{"exitNow", SYS_exit_group, false, {INT("code", 0, 255)}},
	{"threadId", SYS_gettid, false, {{NOTHING, NULL, 0, 0, 0}}},
	/* The kernel counts the mask of nodes in bits: N bytes of it are read as N bits. */
	{"mbind", SYS_mbind, false,
	 {BYTES, INT("mode", 0, 5), BYTES_FROM(64), INT("flags", 0, 3)}},
	{"setThreadName", SYS_prctl, false, {CONST(PR_SET_NAME), STRING("name", 16)}},
};

#define CALL_COUNT (sizeof(CALLS) / sizeof(CALLS[0]))

static size_t js_args_of(const struct argument *args)
{
	size_t count = 0;

	for (size_t i = 0; i < ARGS_MAX && args[i].kind != NOTHING; i++)
		count += args[i].kind == SLICE ? 3 : args[i].kind != CONSTANT;
	return count;
}

/* Reads one argument into out[0], a slice into out[0] and out[1]; returns where JS goes on. */
static const napi_value *read_one(napi_env env, const struct argument *want,
				  const napi_value *from, char *text, long *out)
{
	double number;
	uint8_t *data;
	size_t length;

	switch (want->kind) {
	case INTEGER:
		if (!arg_number(env, from[0], want->name, want->min, want->max, &number))
			return NULL;
		out[0] = (long)number | want->bits;
		return from + 1;
	case SLICE:
		if (!arg_slice(env, from, &data, &length) ||
		    !check_least(env, want->name, length, want->min))
			return NULL;
		out[0] = (long)data;
		out[1] = (long)length;
		return from + 3;
	case TEXT:
		if (!arg_string(env, from[0], want->name, text, (size_t)want->max))
			return NULL;
		out[0] = (long)text;
		return from + 1;
	default:
		out[0] = want->bits;
		return from;
	}
}

/* Every row of CALLS: data is the row. */
static napi_value make_call(napi_env env, napi_callback_info info)
{
	napi_value js[3 * ARGS_MAX];
	const napi_value *next = js;
	const struct native_call *row;
	long k[ARGS_MAX + 1] = {0};
	char text[TEXT_BYTES];
	void *data = NULL;
	size_t filled = 0;
	long done;

	if (napi_get_cb_info(env, info, NULL, NULL, NULL, &data) != napi_ok)
		return NULL;
	row = data;
	if (!read_args(env, info, js, js_args_of(row->args)))
		return NULL;
	for (size_t i = 0; i < ARGS_MAX && row->args[i].kind != NOTHING; i++) {
		next = read_one(env, &row->args[i], next, text, &k[filled]);
		if (next == NULL)
			return NULL;
		filled += row->args[i].kind == SLICE ? 2 : 1;
	}
	do
		done = syscall(row->number, k[0], k[1], k[2], k[3], k[4], k[5]);
	while (done == -1 && errno == EINTR && row->is_retried);
	return result(env, done);
}

napi_status export_calls(napi_env env, napi_value exports)
{
	napi_status status = napi_ok;
	napi_value function;

	for (size_t i = 0; i < CALL_COUNT && status == napi_ok; i++) {
		status = napi_create_function(env, CALLS[i].name, NAPI_AUTO_LENGTH, make_call,
					      (void *)&CALLS[i], &function);
		if (status == napi_ok)
			status = napi_set_named_property(env, exports, CALLS[i].name, function);
	}
	return status;
}
