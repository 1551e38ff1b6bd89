/*
 * Files of the journal: written from a slice of shared memory, at a given place in the file.
 *
 * File offsets and sizes are JS numbers below 2^53. Every file is opened close-on-exec.
 */
#include "millrace.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* openFile(path, flags of open(2), mode) */
static napi_value file_open(napi_env env, napi_callback_info info)
{
	char path[PATH_MAX];
	napi_value args[3];
	int flags, mode;

	if (!read_args(env, info, args, 3) ||
	    !arg_string(env, args[0], "path", path, sizeof(path)) ||
	    !arg_int(env, args[1], "flags", 0, INT32_MAX, &flags) ||
	    !arg_int(env, args[2], "mode", 0, 07777, &mode))
		return NULL;
	return result(env, RETRY(open(path, flags | O_CLOEXEC, (mode_t)mode)));
}

/* closeFd(fd): not retried, Linux has freed the number even when it says EINTR */
static napi_value file_close(napi_env env, napi_callback_info info)
{
	napi_value args[1];
	int fd;

	if (!read_args(env, info, args, 1) || !arg_fd(env, args[0], &fd))
		return NULL;
	return result(env, close(fd));
}

/* pwrite(fd, array, offset, length, fileOffset) */
static napi_value file_pwrite(napi_env env, napi_callback_info info)
{
	napi_value args[5];
	double position;
	uint8_t *data;
	size_t length;
	int fd;

	if (!read_args(env, info, args, 5) || !arg_fd(env, args[0], &fd) ||
	    !arg_slice(env, args + 1, &data, &length) ||
	    !arg_number(env, args[4], "fileOffset", 0, SAFE_INTEGER_MAX, &position))
		return NULL;
	return result(env, RETRY(pwrite(fd, data, length, (off_t)position)));
}

/* pread(fd, array, offset, length, fileOffset): 0 at the end of the file */
static napi_value file_pread(napi_env env, napi_callback_info info)
{
	napi_value args[5];
	double position;
	uint8_t *data;
	size_t length;
	int fd;

	if (!read_args(env, info, args, 5) || !arg_fd(env, args[0], &fd) ||
	    !arg_slice(env, args + 1, &data, &length) ||
	    !arg_number(env, args[4], "fileOffset", 0, SAFE_INTEGER_MAX, &position))
		return NULL;
	return result(env, RETRY(pread(fd, data, length, (off_t)position)));
}

/* fallocate(fd, keepSize 0 | 1, fileOffset, bytes) */
static napi_value file_allocate(napi_env env, napi_callback_info info)
{
	double position, bytes;
	napi_value args[4];
	int fd, keep_size;

	if (!read_args(env, info, args, 4) || !arg_fd(env, args[0], &fd) ||
	    !arg_int(env, args[1], "keepSize", 0, 1, &keep_size) ||
	    !arg_number(env, args[2], "fileOffset", 0, SAFE_INTEGER_MAX, &position) ||
	    !arg_number(env, args[3], "bytes", 1, SAFE_INTEGER_MAX, &bytes))
		return NULL;
	return result(env, RETRY(fallocate(fd, keep_size == 1 ? FALLOC_FL_KEEP_SIZE : 0,
					   (off_t)position, (off_t)bytes)));
}

/* ftruncate(fd, bytes) */
static napi_value file_truncate(napi_env env, napi_callback_info info)
{
	napi_value args[2];
	double bytes;
	int fd;

	if (!read_args(env, info, args, 2) || !arg_fd(env, args[0], &fd) ||
	    !arg_number(env, args[1], "bytes", 0, SAFE_INTEGER_MAX, &bytes))
		return NULL;
	return result(env, RETRY(ftruncate(fd, (off_t)bytes)));
}

/* fdatasync(fd) */
static napi_value file_data_sync(napi_env env, napi_callback_info info)
{
	napi_value args[1];
	int fd;

	if (!read_args(env, info, args, 1) || !arg_fd(env, args[0], &fd))
		return NULL;
	return result(env, RETRY(fdatasync(fd)));
}

/* fsync(fd) */
static napi_value file_sync(napi_env env, napi_callback_info info)
{
	napi_value args[1];
	int fd;

	if (!read_args(env, info, args, 1) || !arg_fd(env, args[0], &fd))
		return NULL;
	return result(env, RETRY(fsync(fd)));
}

/* flockExclusive(fd): -EAGAIN when another open file holds the lock */
static napi_value file_lock(napi_env env, napi_callback_info info)
{
	napi_value args[1];
	int fd;

	if (!read_args(env, info, args, 1) || !arg_fd(env, args[0], &fd))
		return NULL;
	return result(env, RETRY(flock(fd, LOCK_EX | LOCK_NB)));
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
	{"openFile", file_open},
	{"closeFd", file_close},
	{"pwrite", file_pwrite},
	{"pread", file_pread},
	{"fallocate", file_allocate},
	{"ftruncate", file_truncate},
	{"fdatasync", file_data_sync},
	{"fsync", file_sync},
	{"flockExclusive", file_lock},
	{"freeBytes", file_free_bytes},
	{NULL, NULL},
};
