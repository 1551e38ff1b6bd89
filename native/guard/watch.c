/*
 * Hardware watchpoints: up to four aligned pieces of 1, 2, 4 or 8 bytes in the whole process.
 *
 * HOW        perf_event_open(PERF_TYPE_BREAKPOINT, sigtrap): the processor traps behind the write,
 *            in the thread that wrote, before its next instruction; threads born later inherit.
 * THREADS    An event belongs to one thread, so all of /proc/self/task get theirs, until a pass
 *            finds none without. Whether a thread lacks some is told by the slots that it has
 *            left: what its parent had at its birth it has already, and twice would fill them.
 * BYTES      The old ones are a copy of ours, taken at the start and at every hit.
 * STEPS      A write into a protected page that is let through is done by our handler, elsewhere,
 *            or under the trap flag, whose signal swallows the watchpoint's. So step.c asks after
 *            each of them whether watched bytes are among those written.
 * NOT SEEN   Writes by the kernel (exclude_kernel is what lets users watch at all).
 * REFUSED    Debug registers by ptrace (a second process); wider pieces with a filter (a write
 *            beside the bytes would cost a trap each).
 */
#include "core.h"

#include <dirent.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOTS 4
#define WATCH_BYTES_MAX 32
#define MAGIC (0x4d475743ull << 32) /* marks the events of ours in si_perf_data */

static struct watch {
	_Atomic int id;             /* serial number * SLOTS + index here; 0: free */
	uint64_t address, bytes;
	bool reads_too;
	enum mg_mode mode;
	char label[64];
	uint8_t kept[WATCH_BYTES_MAX];
	struct { uint64_t start, bytes; } pieces[SLOTS];
	int piece_count, *fds;
	size_t fd_count;
} watches[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The event's bytes are the watch's, from the first that changed on. `piece` when none did. */
HANDLER static void fill(struct mg_event *event, struct watch *watch, uint64_t piece)
{
	uint8_t now[WATCH_BYTES_MAX];
	uint64_t first = 0;

	if (!mg_read(watch->address, now, watch->bytes))
		memcpy(now, watch->kept, sizeof now);
	while (first < watch->bytes && now[first] == watch->kept[first])
		first++;
	event->insn.is_write = !watch->reads_too || first < watch->bytes;
	if (first == watch->bytes)
		first = piece - watch->address;
	event->kind = MG_EVENT_WATCH;
	event->address = watch->address + first;
	event->offset = first;
	event->label = watch->label;
	event->width = 0;
	event->old_known = event->new_known = (uint32_t)(watch->bytes - first);
	memcpy(event->old_bytes, watch->kept + first, watch->bytes - first);
	memcpy(event->new_bytes, now + first, watch->bytes - first);
	memcpy(watch->kept, now, watch->bytes);
	event->is_fatal = watch->mode == MG_REPORT;
	event->end = event->is_fatal ? "dies" : "goes on";
}

HANDLER static void report(struct mg_thread *thread, const ucontext_t *context)
{
	mg_report_event(thread, context);
	if (thread->event.is_fatal)
		mg_die(thread, SIGTRAP);
}

bool mg_watch_hit(struct mg_thread *thread, const siginfo_t *info, const ucontext_t *context)
{
	uint64_t id = ((const uint64_t *)info)[3] ^ MAGIC; /* si_perf_data: not in glibc 2.36 */
	struct watch *watch = &watches[id % SLOTS];
	ucontext_t writer = *context;

	if (info->si_code != TRAP_PERF || id >> 32)
		return false;
	if (watch->id != (int)id || thread->depth > 1) /* ended meanwhile; mg_watch_stepped() */
		return true;
	mg_event_start(thread, MG_EVENT_WATCH, context);
	mg_read(thread->event.pc - sizeof thread->event.code, thread->event.code,
		sizeof thread->event.code);
	fill(&thread->event, watch, (uint64_t)info->si_addr);
	writer.uc_mcontext.gregs[REG_RIP]--; /* into the instruction that wrote */
	report(thread, &writer);
	return true;
}

bool mg_watch_is_on(void)
{
	bool is_on = false;

	for (struct watch *watch = watches; watch < watches + SLOTS; watch++)
		is_on |= watch->id != 0;
	return is_on;
}

void mg_watch_stepped(struct mg_thread *thread)
{
	struct mg_event *event = &thread->event;
	uint64_t start = event->address, end = start + (event->width ? event->width : 1);
	bool is_write = event->kind == MG_EVENT_WRITE;

	for (struct watch *watch = watches; is_write && watch < watches + SLOTS; watch++) {
		if (watch->id == 0 || start >= watch->address + watch->bytes ||
		    end <= watch->address)
			continue;
		fill(event, watch, start > watch->address ? start : watch->address);
		event->region = NULL;
		event->memory = MG_KIND_VIEW;
		report(thread, NULL);
	}
}

static int open_event(const struct watch *watch, int piece, int tid, bool is_probe)
{
	struct perf_event_attr attr = {
		.size = sizeof attr, .type = PERF_TYPE_BREAKPOINT, .sample_period = 1,
		.bp_type = watch->reads_too ? HW_BREAKPOINT_RW : HW_BREAKPOINT_W,
		.bp_addr = watch->pieces[piece].start, .bp_len = watch->pieces[piece].bytes,
		.sig_data = MAGIC | (uint32_t)watch->id, .sigtrap = 1, .remove_on_exec = 1,
		.exclude_kernel = 1, .exclude_hv = 1, .disabled = is_probe,
		.inherit = !is_probe, .inherit_thread = !is_probe,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Slots that a thread has left, or -errno. */
static int free_slots(const struct watch *watch, int tid)
{
	int fds[SLOTS], count = 0, result;

	while (count < SLOTS && (fds[count] = open_event(watch, 0, tid, true)) >= 0)
		count++;
	result = count < SLOTS && fds[count] != -ENOSPC ? fds[count] : count;
	while (count > 0)
		close(fds[--count]);
	return result;
}

/* Opens what a thread lacks: the number of events, or -errno. */
static int cover_thread(struct watch *watch, int tid, int slots_left)
{
	int opened = 0, free_now = free_slots(watch, tid), fd;
	int *fds = realloc(watch->fds, (watch->fd_count + SLOTS) * sizeof(int));

	if (fds == NULL || free_now < 0)
		return fds == NULL ? -ENOMEM : free_now == -ESRCH ? 0 : free_now;
	watch->fds = fds;
	/* A thread that was born while its parent got its events one by one lacks the last. */
	for (int piece = watch->piece_count - (free_now - slots_left); piece < watch->piece_count;
	     piece++, opened++) {
		fd = open_event(watch, piece < 0 ? 0 : piece, tid, false);
		if (fd < 0)
			return fd == -ESRCH ? 0 : fd;
		fds[watch->fd_count++] = fd;
	}
	return opened;
}

static int cover_all(struct watch *watch, int slots_left)
{
	int result = 1, opened = 1;

	for (; result >= 0 && opened > 0;) {
		DIR *tasks = opendir("/proc/self/task");
		struct dirent *entry;

		result = tasks ? 0 : -errno;
		for (opened = 0; result >= 0 && (entry = readdir(tasks)); opened += result)
			result = entry->d_name[0] == '.' ? 0 :
				cover_thread(watch, atoi(entry->d_name), slots_left);
		if (tasks)
			closedir(tasks);
	}
	return result;
}

static void close_watch(struct watch *watch)
{
	watch->id = 0;
	while (watch->fd_count > 0)
		close(watch->fds[--watch->fd_count]);
	free(watch->fds);
	watch->fds = NULL;
}

static int fail(int error, int needed, int left)
{
	static __thread char text[128];

	snprintf(text, sizeof text, error == ENOSPC ? "these bytes need %d of the processor's 4"
		 " watchpoints, %d are free" : "perf_event_open gives no watchpoint", needed, left);
	return mg_fail(error, text);
}

/* Fills the pieces: their number; more than SLOTS: too many. */
static int cut(struct watch *watch, uint64_t at, uint64_t end)
{
	int count = 0;

	for (uint64_t bytes; at < end; at += bytes, count++) {
		for (bytes = 8; at % bytes || bytes > end - at;)
			bytes /= 2;
		if (count < SLOTS) {
			watch->pieces[count].start = at;
			watch->pieces[count].bytes = bytes;
		}
	}
	return count;
}

int mg_watch(void *address, size_t bytes, int reads_too, const struct mg_options *options)
{
	static uint32_t serial;
	struct watch *watch = watches, wanted = { .address = (uint64_t)address, .bytes = bytes };
	int left, result;

	if (bytes < 1 || bytes > WATCH_BYTES_MAX)
		return mg_fail(EINVAL, "a watch is 1 to 32 bytes");
	if (options->mode > MG_CONTINUE)
		return mg_fail(EOPNOTSUPP, "a touch of watched bytes has happened when it is seen");
	wanted.piece_count = cut(&wanted, wanted.address, wanted.address + bytes);
	wanted.reads_too = reads_too;
	wanted.mode = options->mode;
	snprintf(wanted.label, sizeof wanted.label, "%s", options->label ? options->label : "");
	if (!mg_read(wanted.address, wanted.kept, bytes))
		return mg_fail(EFAULT, "the bytes to watch cannot be read");
	pthread_mutex_lock(&lock);
	result = left = free_slots(&wanted, 0);
	while (watch < watches + SLOTS - 1 && watch->id)
		watch++;
	if (left >= 0 && (left < wanted.piece_count || watch->id))
		result = -ENOSPC;
	if (result >= 0) {
		wanted.id = (int)(++serial % (INT32_MAX / SLOTS) * SLOTS + (watch - watches));
		*watch = wanted;
		result = cover_all(watch, left - watch->piece_count);
		if (result < 0)
			close_watch(watch);
	}
	pthread_mutex_unlock(&lock);
	return result < 0 ? fail(-result, wanted.piece_count, left) : wanted.id;
}

int mg_watch_end(int id)
{
	struct watch *watch = &watches[(unsigned)id % SLOTS];
	int result = 0;

	pthread_mutex_lock(&lock);
	if (id <= 0 || watch->id != id)
		result = mg_fail(ENOENT, "there is no such watch any more");
	else
		close_watch(watch);
	pthread_mutex_unlock(&lock);
	return result;
}
