/*
 * Files whose bytes stay where they are: sent from the page cache, looked for there, mapped, and
 * room for more.
 *
 * File offsets and sizes are JS numbers below 2^53.
 */
#include "millrace.h"

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

#define SENDFILE_BYTES_MAX 0x40000000

/* sendfile(socket, file, fileOffset, length) */
static napi_value file_send(napi_env env, napi_callback_info info)
{
	int socket, file, length;
	napi_value args[4];
	double position;
	off_t offset;

	if (!read_args(env, info, args, 4) || !arg_fd(env, args[0], &socket) ||
	    !arg_fd(env, args[1], &file) ||
	    !arg_number(env, args[2], "fileOffset", 0, SAFE_INTEGER_MAX, &position) ||
	    !arg_int(env, args[3], "length", 0, SENDFILE_BYTES_MAX, &length))
		return NULL;
	offset = (off_t)position;
	return result(env, RETRY(sendfile(socket, file, &offset, (size_t)length)));
}

/* preadNoWait(fd, array, offset, length, fileOffset): what the page cache holds, or -EAGAIN */
static napi_value file_pread_no_wait(napi_env env, napi_callback_info info)
{
	struct iovec range;
	napi_value args[5];
	double position;
	uint8_t *data;
	size_t length;
	int fd;

	if (!read_args(env, info, args, 5) || !arg_fd(env, args[0], &fd) ||
	    !arg_slice(env, args + 1, &data, &length) ||
	    !arg_number(env, args[4], "fileOffset", 0, SAFE_INTEGER_MAX, &position))
		return NULL;
	range.iov_base = data;
	range.iov_len = length;
	return result(env, RETRY(preadv2(fd, &range, 1, (off_t)position, RWF_NOWAIT)));
}

static void unmap(napi_env env, void *data, void *hint)
{
	(void)env;
	munmap(data, (size_t)(uintptr_t)hint);
}

/* mapFile(fd, fileOffset, length): an ArrayBuffer over shared pages of the file, or -errno */
static napi_value file_map(napi_env env, napi_callback_info info)
{
	double position, length;
	napi_value args[3], out;
	void *data;
	int fd;

	if (!read_args(env, info, args, 3) || !arg_fd(env, args[0], &fd) ||
	    !arg_number(env, args[1], "fileOffset", 0, SAFE_INTEGER_MAX, &position) ||
	    !arg_number(env, args[2], "length", 1, SAFE_INTEGER_MAX, &length))
		return NULL;
	data = mmap(NULL, (size_t)length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
		    (off_t)position);
	if (data == MAP_FAILED)
		return result(env, -1);
	if (napi_create_external_arraybuffer(env, data, (size_t)length, unmap,
					     (void *)(uintptr_t)length, &out) != napi_ok) {
		munmap(data, (size_t)length);
		return result_number(env, -EOPNOTSUPP);
	}
	return out;
}

/* freeBytes(fd): what an ordinary user may still write to the file system of fd */
static napi_value file_free_bytes(napi_env env, napi_callback_info info)
{
	struct statvfs system;
	napi_value args[1];
	int fd;

	if (!read_args(env, info, args, 1) || !arg_fd(env, args[0], &fd))
		return NULL;
	if (RETRY(fstatvfs(fd, &system)) == -1)
		return result(env, -1);
	return result_number(env, (double)system.f_bavail * (double)system.f_frsize);
}

const struct native_function FILE_FUNCTIONS[] = {
	{"sendfile", file_send},
	{"preadNoWait", file_pread_no_wait},
	{"mapFile", file_map},
	{"freeBytes", file_free_bytes},
	{NULL, NULL},
};
