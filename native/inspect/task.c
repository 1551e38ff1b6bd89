/*
 * What the kernel tells of another thread of this process, in /proc/self/task.
 *
 * Ordinary code (it opens files), but for mg_task_is_gone().
 */
#include "inspect.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

HANDLER bool mg_task_is_gone(int32_t tid)
{
	return syscall(SYS_tgkill, getpid(), tid, 0) == -1 && errno == ESRCH;
}

/* What the file says now, as a string. */
static bool read_file(int32_t tid, const char *file, char *text, size_t size)
{
	char path[64];
	ssize_t bytes;
	int fd;

	snprintf(path, sizeof path, "/proc/self/task/%d/%s", tid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	bytes = fd < 0 ? -1 : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	text[bytes < 0 ? 0 : bytes] = '\0';
	return bytes > 0;
}

void mg_task_name(int32_t tid, char *name, size_t size)
{
	read_file(tid, "comm", name, size);
	name[strcspn(name, "\n")] = '\0';
}

bool mg_task_takes(int32_t tid, int signal)
{
	char text[4096], *blocked;

	if (!read_file(tid, "status", text, sizeof text) || !(blocked = strstr(text, "SigBlk:")))
		return false;
	return !(strtoull(blocked + 7, NULL, 16) >> (signal - 1) & 1);
}

void mg_task_call(int32_t tid, struct mg_call *call)
{
	uint64_t *args = call->args, sp;
	char text[256] = "";

	/* On its way to sleep it is "running" yet. */
	for (int i = 0; i < 10000 && (!read_file(tid, "syscall", text, sizeof text) ||
				      text[0] == 'r'); i++)
		sched_yield();
	*call = (struct mg_call){ .number = -1 };
	if (sscanf(text, "%ld %lx %lx %lx %lx %lx %lx %lx %lx", &call->number, &args[0], &args[1],
		   &args[2], &args[3], &args[4], &args[5], &sp, &call->pc) < 9)
		call->pc = args[1];
}
