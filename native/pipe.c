/*
 * Bytes by reference: pipes, vmsplice, splice, memory advice, entries of an io_uring.
 *
 * Every pipe is made non-blocking and close-on-exec, every splice is SPLICE_F_NONBLOCK: a call
 * that slept in here would hold the lock of the pipe.
 */
#include "millrace.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SPLICE_BYTES_MAX 0x40000000
#define OS_PAGE_BYTES 4096

/* pipeCreate(Int32Array, 2): [read end, write end] */
static napi_value pipe_create(napi_env env, napi_callback_info info)
{
	napi_value args[2];
	int32_t *ends;
	int fds[2], count;

	if (!read_args(env, info, args, 2) || !arg_words(env, args, 1, 2, &ends, &count))
		return NULL;
	if (count < 2)
		return result_number(env, -EINVAL);
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1)
		return result(env, -1);
	ends[0] = fds[0];
	ends[1] = fds[1];
	return result_number(env, 0);
}

/* vmsplice(pipeFd, array, offset, length): bytes whose pages the pipe now refers to */
static napi_value pipe_vmsplice(napi_env env, napi_callback_info info)
{
	struct iovec range;
	napi_value args[4];
	uint8_t *data;
	size_t length;
	int fd;

	if (!read_args(env, info, args, 4) || !arg_fd(env, args[0], &fd) ||
	    !arg_slice(env, args + 1, &data, &length))
		return NULL;
	range.iov_base = data;
	range.iov_len = length;
	return result(env, RETRY(vmsplice(fd, &range, 1, SPLICE_F_NONBLOCK)));
}

/* splice(from, fromOffset or -1, to, length, more 0 | 1) */
static napi_value pipe_splice(napi_env env, napi_callback_info info)
{
	int from, to, length, more;
	napi_value args[5];
	double position;
	loff_t offset;

	if (!read_args(env, info, args, 5) || !arg_fd(env, args[0], &from) ||
	    !arg_number(env, args[1], "fileOffset", -1, SAFE_INTEGER_MAX, &position) ||
	    !arg_fd(env, args[2], &to) ||
	    !arg_int(env, args[3], "length", 0, SPLICE_BYTES_MAX, &length) ||
	    !arg_int(env, args[4], "more", 0, 1, &more))
		return NULL;
	offset = (loff_t)position;
	return result(env, RETRY(splice(from, offset < 0 ? NULL : &offset, to, NULL, (size_t)length,
					SPLICE_F_NONBLOCK | (more == 1 ? SPLICE_F_MORE : 0))));
}

/* madvise(advice, array, offset, length): of the whole OS pages inside; how many bytes they are */
static napi_value memory_advise(napi_env env, napi_callback_info info)
{
	uintptr_t first, end;
	napi_value args[4];
	uint8_t *data;
	size_t length;
	int advice;

	if (!read_args(env, info, args, 4) ||
	    !arg_int(env, args[0], "advice", 0, 127, &advice) ||
	    !arg_slice(env, args + 1, &data, &length))
		return NULL;
	first = ((uintptr_t)data + OS_PAGE_BYTES - 1) & ~(uintptr_t)(OS_PAGE_BYTES - 1);
	end = ((uintptr_t)data + length) & ~(uintptr_t)(OS_PAGE_BYTES - 1);
	if (end <= first)
		return result_number(env, 0);
	if (RETRY(madvise((void *)first, end - first, advice)) == -1)
		return result(env, -1);
	return result_number(env, (double)(end - first));
}

/* One entry of the submission queue, as io_uring_enter(2) reads it. */
struct uring_entry {
	uint8_t opcode, flags;
	uint16_t ioprio;
	int32_t fd;
	uint64_t offset, address;
	uint32_t length, message_flags;
	uint64_t user_data, unused[3];
};

_Static_assert(sizeof(struct uring_entry) == 64, "the kernel's size");

#define URING_OP_SEND_ZC 47
#define URING_REGISTER_EVENTFD 4
#define URING_SEND_ZC_REPORT_USAGE 8

/* uringPrepareSend(sqes, offset, fd, messageFlags, userData, array, offset, length) */
static napi_value uring_prepare_send(napi_env env, napi_callback_info info)
{
	struct uring_entry entry = {.opcode = URING_OP_SEND_ZC,
				    .ioprio = URING_SEND_ZC_REPORT_USAGE};
	int flags, user_data;
	napi_value args[8];
	uint8_t *to, *data;
	size_t length;

	if (!read_args(env, info, args, 8) || !arg_room(env, args, sizeof(entry), &to) ||
	    !arg_fd(env, args[2], &entry.fd) ||
	    !arg_int(env, args[3], "flags", 0, INT32_MAX, &flags) ||
	    !arg_int(env, args[4], "userData", 0, INT32_MAX, &user_data) ||
	    !arg_slice(env, args + 5, &data, &length))
		return NULL;
	if (length > SPLICE_BYTES_MAX)
		return result_number(env, -EMSGSIZE);
	entry.address = (uint64_t)(uintptr_t)data;
	entry.length = (uint32_t)length;
	entry.message_flags = (uint32_t)flags;
	entry.user_data = (uint64_t)user_data;
	memcpy(to, &entry, sizeof(entry));
	return result_number(env, 0);
}

/* uringSignal(fd, eventFd): completions of the ring raise the eventfd */
static napi_value uring_signal(napi_env env, napi_callback_info info)
{
	napi_value args[2];
	int fd, event_fd;

	if (!read_args(env, info, args, 2) || !arg_fd(env, args[0], &fd) ||
	    !arg_fd(env, args[1], &event_fd))
		return NULL;
	return result(env, syscall(SYS_io_uring_register, fd, URING_REGISTER_EVENTFD, &event_fd,
				   1));
}

const struct native_function PIPE_FUNCTIONS[] = {
	{"pipeCreate", pipe_create},
	{"vmsplice", pipe_vmsplice},
	{"splice", pipe_splice},
	{"madvise", memory_advise},
	{"uringPrepareSend", uring_prepare_send},
	{"uringSignal", uring_signal},
	{NULL, NULL},
};
