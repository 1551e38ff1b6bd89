/*
 * Writes by the kernel, read(2) into a protected page, caught by userfaultfd write protection.
 * (mprotect would make them EFAULT, and tell nobody.)
 *
 * HOW        The page is writable for mprotect, write-protected for userfaultfd. Whoever writes,
 *            in the kernel or not, sleeps. The service thread gets the event, notes what system
 *            call it is in and what the bytes were, queues a SIGSEGV to the thread, and only then
 *            lifts the protection: the thread cannot come back to its code before the signal is
 *            pending, so the signal's stack is the one of the call. A write outside of a system
 *            call is interrupted by the signal at its instruction, before it happens.
 * ONE FOR ALL  The pages that one call writes are lifted as it comes to them, and are one report.
 *            Threads that wait for the same page are noted before it is lifted.
 * LATE       A thread may have left its fault before it is noted: by another signal, or because its
 *            own made it ask twice. So a page that its handler has protected again is not lifted;
 *            who finished a report since the messages were read is only told to try again; and a
 *            record is void when the signal finds the thread elsewhere than the kernel said.
 * NO STACK   Workers of io_uring and threads that block SIGSEGV: reported by the service thread,
 *            with the one frame that the kernel tells.
 * MISSED     Other writes to a page between its lifting and the end of the call (MG_CONTINUE).
 *            What the kernel writes for a thread that ends (the word of set_tid_address).
 * REFUSED    UFFD_USER_MODE_ONLY (the kernel's writes are the point).
 */
#include "core.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXACT UFFD_FEATURE_EXACT_ADDRESS
#define WP_SHARED UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define WP_UNPOPULATED (1ul << 13) /* not in the headers of Linux 6.1 */
#define NEEDED (UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_THREAD_ID)
#define RECORDS_MAX 64
#define LEFT (-1)        /* a record's tid: its pages are to be protected again in a while */
#define SYSCALL_BYTES 2
#define ERROR_WRITE 2    /* page-fault error code */

/* What the service thread knows of a write; the writing thread makes the report of it. */
static struct record {
	_Atomic int32_t tid; /* 0: free. Taken by the service thread, freed by the writing one. */
	_Atomic bool is_over; /* the writing thread has protected the pages again */
	_Atomic uint32_t done; /* number of its report, of all threads' */
	int32_t writer;      /* as tid, and stays */
	int region;
	uint64_t address, first, last; /* first and last page */
	struct mg_call call; /* number -1: none, a plain write */
	uint8_t old_bytes[MG_BYTES_MAX];
} records[RECORDS_MAX];
static _Atomic uint32_t done_last;
static _Atomic int uffd = -1;
static uint64_t features;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int open_uffd(void)
{
	/* Each does without one more of: never touched pages, shared memory, the exact address. */
	static const uint64_t WISHES[] = { WP_UNPOPULATED | WP_SHARED | EXACT, WP_SHARED | EXACT,
					   EXACT, 0 };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), device;

	if (fd < 0 && errno == EPERM && (device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC)) >= 0) {
		fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
		close(device);
	}
	if (fd < 0)
		return mg_fail(errno, "userfaultfd is not to be had: it needs CAP_SYS_PTRACE, or"
			       " /dev/userfaultfd, or the sysctl vm.unprivileged_userfaultfd=1;"
			       " the seccomp of a container may forbid it");
	for (size_t i = 0; i < sizeof WISHES / sizeof WISHES[0]; i++) {
		struct uffdio_api api = { .api = UFFD_API, .features = NEEDED | WISHES[i] };

		if (ioctl(fd, UFFDIO_API, &api) == 0) {
			features = api.features & (NEEDED | WISHES[i]);
			uffd = fd;
			return mg_service_start();
		}
	}
	close(fd);
	return mg_fail(ENOSYS, "this kernel's userfaultfd cannot write-protect (Linux 5.7 can)");
}

static int set_wp(uint64_t start, uint64_t bytes, bool is_on)
{
	struct uffdio_writeprotect change = { .range = { start, bytes },
		.mode = is_on ? UFFDIO_WRITEPROTECT_MODE_WP : 0 };

	return ioctl(uffd, UFFDIO_WRITEPROTECT, &change) == 0 ? 0 : -errno;
}

int mg_uffd_protect(struct mg_region *region, uint64_t start, uint64_t bytes, bool is_on)
{
	struct uffdio_register all = { .range = { region->start, region->bytes },
		.mode = UFFDIO_REGISTER_MODE_WP };
	int error = 0;

	if (is_on && uffd < 0) { /* never in a handler: that has been on before */
		pthread_mutex_lock(&lock);
		error = uffd < 0 ? open_uffd() : 0;
		pthread_mutex_unlock(&lock);
	}
	if (error < 0 || uffd < 0)
		return error;
	if (!is_on && region->id == 0) /* the region ends */
		return ioctl(uffd, UFFDIO_UNREGISTER, &all.range), 0;
	error = set_wp(start, bytes, is_on);
	if (error == -ENOENT && is_on) {
		error = ioctl(uffd, UFFDIO_REGISTER, &all) == 0 ? 0 : -errno;
		if (error == 0 && !(features & WP_UNPOPULATED))
			madvise((void *)region->start, region->bytes, MADV_POPULATE_READ);
		if (error == 0)
			error = set_wp(start, bytes, true);
	}
	if (error < 0 && is_on)
		return mg_fail(ENOSYS, "this kernel's userfaultfd does not protect this kind of memory");
	return 0;
}

int mg_uffd_fd(void)
{
	return uffd;
}

/* To be given back by its `users`; NULL: it has ended, and its pages are open. */
HANDLER static struct mg_region *hold(struct mg_region *region)
{
	return region && mg_region_hold(region) ? region : NULL;
}

/* Protects the record's pages again, or lifts one, which only pages are that their owner protects.
   Nothing is lifted for a record that is over, and it becomes so under the pages' claims. */
HANDLER static void set_pages(struct mg_region *region, struct record *record, uint64_t first,
			      uint64_t last, bool is_on)
{
	for (uint64_t at = first; at <= last; at += MG_PAGE) {
		struct mg_page *page = &region->pages[(at - region->start) / MG_PAGE];

		mg_page_claim(page);
		record->is_over |= is_on;
		if (page->state == MG_PAGE_PROTECTED && (is_on || !record->is_over))
			set_wp(at, MG_PAGE, is_on);
		mg_page_release(page);
	}
}

/* The event of a record, as far as the service thread knows it. */
HANDLER static void fill(struct mg_thread *thread, const struct record *record,
			 const struct mg_region *region, const ucontext_t *context)
{
	uint64_t address = record->address, to_end = region->start + region->bytes - address;
	uint64_t result = (uint64_t)context->uc_mcontext.gregs[REG_RAX];
	struct mg_event *event = &thread->event;
	/* The calls whose result is the number of bytes from this argument on. */
	int buffer = record->call.number == SYS_getrandom ? 0 : record->call.number == SYS_read ||
		record->call.number == SYS_pread64 || record->call.number == SYS_recvfrom ? 1 : -1;

	mg_event_start(thread, MG_EVENT_SYSCALL, context);
	mg_event_place(event, region, address);
	mg_read(event->pc - sizeof event->code, event->code, sizeof event->code);
	event->syscall_number = (int32_t)record->call.number;
	memcpy(event->syscall_args, record->call.args, sizeof event->syscall_args);
	memcpy(event->old_bytes, record->old_bytes, MG_BYTES_MAX);
	if (buffer >= 0 && (int64_t)result > 0 && record->call.args[buffer] + result > address)
		event->width = (uint32_t)(record->call.args[buffer] + result - address);
	event->old_known = (uint32_t)least(to_end, event->width ? event->width : MG_BYTES_MAX);
	event->old_known = (uint32_t)least(event->old_known, MG_BYTES_MAX);
	event->new_known = mg_read(address, event->new_bytes, event->old_known) ?
		event->old_known : 0;
	event->is_fatal = region->mode == MG_REPORT;
	event->end = event->is_fatal ? "dies" : "goes on";
}

/* Reports a record of this thread. False: a plain write, that the caller goes on with as if
   mprotect had caught it. */
HANDLER static bool report(struct mg_thread *thread, struct record *record,
			   struct mg_region *region, siginfo_t *info, ucontext_t *context)
{
	if (record->call.number != -1) {
		set_pages(region, record, record->first, record->last, true);
		fill(thread, record, region, context);
		if (mg_report_event(thread, context) && thread->event.is_fatal)
			mg_die(thread, SIGSEGV);
		return true;
	}
	info->si_code = SEGV_ACCERR;
	info->si_addr = (void *)record->address;
	context->uc_mcontext.gregs[REG_ERR] = ERROR_WRITE;
	return false;
}

bool mg_uffd_signal(struct mg_thread *thread, siginfo_t *info, ucontext_t *context)
{
	bool is_ours = info->si_code == SI_QUEUE && info->si_value.sival_ptr == records;
	uint64_t pc = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
	bool is_done = is_ours;
	int32_t tid = mg_tid();

	for (struct record *record = records; is_ours && record < records + RECORDS_MAX; record++) {
		struct mg_region *region;

		if (record->tid != tid)
			continue;
		region = hold(mg_region_of(record->region));
		/* Also where the kernel makes the call again. */
		if (region && (pc == record->call.pc || pc + SYSCALL_BYTES == record->call.pc)) {
			is_done = report(thread, record, region, info, context) && is_done;
			record->done = ++done_last;
			record->tid = 0;
		} else {
			record->tid = LEFT;
		}
		if (region)
			atomic_fetch_sub(&region->users, 1);
	}
	return is_done;
}

/* For a thread that takes no signal, or is gone: no stack but the frame that the kernel told. */
static void report_alone(struct record *record, int32_t tid, struct mg_region *region)
{
	ucontext_t none = { .uc_mcontext.gregs[REG_RIP] = (greg_t)record->call.pc };
	struct mg_thread *thread = mg_thread_self();
	struct mg_event *event = &thread->event;

	fill(thread, record, region, &none);
	event->tid = tid;
	event->new_known = 0;
	memset(event->thread_role, 0, sizeof event->thread_role);
	mg_task_name(tid, event->thread_name, sizeof event->thread_name);
	memset(&event->frames[0], 0, sizeof event->frames[0]);
	event->frames[0].pc = record->call.pc;
	event->frame_count = record->call.pc && mg_symbol(record->call.pc, true, &event->frames[0]);
	event->culprit = mg_culprit(event->frames, event->frame_count);
	if (mg_report_event(thread, NULL) && event->is_fatal)
		mg_die(thread, SIGSEGV);
	record->tid = LEFT;
}

/* The record of a thread that waits in the kernel, for which the page is to be lifted. `before`:
   done_last before the message was read. */
static struct record *note(struct mg_region *region, uint64_t address, int32_t tid,
			   uint32_t before)
{
	siginfo_t info = { .si_signo = SIGSEGV, .si_code = SI_QUEUE };
	uint64_t page = address & -MG_PAGE;
	struct record *record = NULL;

	for (struct record *each = records; each < records + RECORDS_MAX; each++) {
		if (each->tid == tid && each->region == region->id) {
			each->first = page < each->first ? page : each->first;
			each->last = page > each->last ? page : each->last;
			return each;
		}
		if (each->writer == tid && (int32_t)(each->done - before) > 0)
			return NULL;
		if (each->tid == 0 && (!record || (int32_t)(each->done - record->done) < 0))
			record = each; /* the oldest: it is known for long who finished when */
	}
	if (record == NULL)
		return NULL; /* 64 threads at once: it asks again */
	record->writer = tid;
	record->region = region->id;
	record->is_over = false;
	record->address = address;
	record->first = record->last = page;
	mg_task_call(tid, &record->call);
	if (!mg_read(address, record->old_bytes, MG_BYTES_MAX))
		mg_read(address, record->old_bytes, page + MG_PAGE - address);
	record->tid = tid;
	info.si_pid = getpid();
	info.si_value.sival_ptr = records;
	if (mg_task_takes(tid, SIGSEGV) &&
	    syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, SIGSEGV, &info) == 0)
		return record->call.number == -1 ? NULL : record;
	report_alone(record, tid, region);
	return record;
}

/* Nothing has come for a tick: what is left over. */
static void tidy(void)
{
	for (struct record *each = records; each < records + RECORDS_MAX; each++) {
		struct mg_region *region;
		int32_t tid = each->tid;

		if (tid == 0 || (tid > 0 && !mg_task_is_gone(tid)))
			continue;
		region = hold(mg_region_of(each->region));
		if (region && tid > 0)
			report_alone(each, tid, region);
		if (region) {
			set_pages(region, each, each->first, each->last, true);
			atomic_fetch_sub(&region->users, 1);
		}
		each->tid = 0;
	}
}

/* First pass: notes who waits. The second lets them go on, or try again. */
static void serve_one(const struct uffd_msg *message, struct record **record, bool is_noting,
		      uint32_t before)
{
	uint64_t address = message->arg.pagefault.address, at = address & -MG_PAGE;
	struct mg_region *region = hold(mg_region_at(address));
	struct uffdio_range page = { at, MG_PAGE };

	if (is_noting)
		*record = region && region->pages[(at - region->start) / MG_PAGE].state ==
			MG_PAGE_PROTECTED ? note(region, address, (int32_t)message->arg.pagefault.feat.ptid,
						 before) : NULL;
	else if (region && *record)
		set_pages(region, *record, at, at, false);
	if (!is_noting)
		ioctl(uffd, UFFDIO_WAKE, &page);
	if (region)
		atomic_fetch_sub(&region->users, 1);
}

void mg_uffd_serve(void)
{
	struct uffd_msg messages[RECORDS_MAX];
	uint32_t before = done_last;
	ssize_t bytes = uffd < 0 ? 0 : read(uffd, messages, sizeof messages);
	ssize_t count = bytes < 0 ? 0 : bytes / (ssize_t)sizeof messages[0];
	struct record *noted[RECORDS_MAX];

	for (int pass = 0; pass < 2; pass++) /* all are noted before the first page is lifted */
		for (ssize_t i = 0; i < count; i++)
			serve_one(&messages[i], &noted[i], pass == 0, before);
	if (count == 0)
		tidy();
}
