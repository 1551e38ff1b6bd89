/*
 * Writes by the kernel into protected pages, from C: one scenario a run. Facts go to stdout, one a
 * line; the reports, as JSON, to the file in $REPORT. "unavailable" where userfaultfd is refused.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core.h"

#define PAGES 16
#define THREADS 8

static char *memory;
static int region, source;
static pthread_barrier_t start;

static void say(const char *what, long value)
{
	printf("%s %ld\n", what, value);
	fflush(stdout);
}

static __attribute__((noinline)) long read_into(size_t offset, size_t bytes)
{
	return pread(source, memory + offset, bytes, 0);
}

static __attribute__((noinline)) void write_at(size_t offset, char value)
{
	*(volatile char *)(memory + offset) = value;
}

static void protect(enum mg_mode mode, unsigned flags, const char *allow)
{
	struct mg_options options = { .label = "pages", .mode = mode, .flags = flags,
				      .allow = allow };
	int error;

	region = mg_region(memory, PAGES * MG_PAGE, &options, NULL);
	error = region < 0 ? region : mg_protect(region, MG_PAGE, (PAGES - 1) * MG_PAGE, 7);
	if (error == -EPERM || error == -ENOSYS) {
		printf("unavailable: %s\n", mg_problem());
		exit(0);
	}
	say("protect", error);
}

static void calls(void)
{
	struct iovec parts[2] = { { memory + 5 * MG_PAGE, 10 }, { memory + 3 * MG_PAGE, 10 } };
	int pair[2];

	say("open page", read_into(0, 100));
	say("pread64", read_into(MG_PAGE + 10, 100));
	say("over a border", read_into(2 * MG_PAGE - 50, 5000));
	lseek(source, 0, SEEK_SET);
	say("read", read(source, memory + MG_PAGE, 4));
	say("preadv", preadv(source, parts, 2, 0));
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || write(pair[1], "abc", 3) != 3)
		return;
	say("recvfrom", recv(pair[0], memory + 2 * MG_PAGE, 10, 0));
	say("getrandom", getrandom(memory + 2 * MG_PAGE + 8, 16, 0));
	say("first byte", memory[2 * MG_PAGE]);
}

static void toggles(void)
{
	say("unprotect", mg_unprotect(region, MG_PAGE, 2 * MG_PAGE));
	say("into open", read_into(MG_PAGE, 2 * MG_PAGE));
	write_at(MG_PAGE, 1);
	say("protect again", mg_protect(region, MG_PAGE, MG_PAGE, 8));
	say("reported", read_into(MG_PAGE + 1, 20));
	say("end", mg_region_end(region));
	say("after the end", read_into(MG_PAGE, 3 * MG_PAGE));
	write_at(MG_PAGE, 2);
	protect(MG_CONTINUE, 0, NULL);
	say("without the flag", read_into(MG_PAGE, 10));
	say("it is EFAULT", errno == EFAULT);
}

static void *reader(void *number)
{
	pthread_barrier_wait(&start);
	for (size_t i = 0; i < 20; i++)
		if (read_into((1 + (size_t)number) * MG_PAGE + i, 1) != 1)
			say("failed", errno);
	return number;
}

static void *sharer(void *number)
{
	size_t offset = MG_PAGE + 100 * (size_t)number;

	pthread_barrier_wait(&start);
	for (int i = 0; i < 20; i++)
		if (read_into(offset, 8) != 8)
			say("failed", errno);
	for (int i = 0; i < 20; i++)
		write_at(offset + 50, (char)i);
	return number;
}

/* An owner that opens and closes while others are blocked there. */
static void *owner(void *nothing)
{
	pthread_barrier_wait(&start);
	for (int i = 0; i < 100; i++) {
		mg_unprotect(region, MG_PAGE, (PAGES - 1) * MG_PAGE);
		mg_protect(region, MG_PAGE, (PAGES - 1) * MG_PAGE, 9);
	}
	return nothing;
}

static void threads(void *(*work)(void *), void *(*other)(void *))
{
	pthread_t each[THREADS + 1];

	pthread_barrier_init(&start, NULL, THREADS + (other ? 1 : 0));
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&each[i], NULL, work, (void *)i);
	if (other)
		pthread_create(&each[THREADS], NULL, other, NULL);
	for (size_t i = 0; i < THREADS + (other ? 1u : 0u); i++)
		pthread_join(each[i], NULL);
	say("all done", 1);
}

/* A thread that takes no signals, as the workers of io_uring. */
static void *deaf(void *nothing)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	prctl(PR_SET_NAME, "deaf");
	say("deaf", read_into(MG_PAGE, 10));
	return nothing;
}

static void *restless(void *number)
{
	for (;;)
		read_into((1 + (size_t)number) * MG_PAGE, 100);
	return number;
}

/* The process ends while threads are blocked. */
static void leave(void)
{
	pthread_t thread;

	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&thread, NULL, restless, (void *)i);
	while (mg_report_last() < 20)
		usleep(1000);
	exit(3);
}

static void refusal(enum mg_mode mode)
{
	struct mg_options options = { .label = "refused", .mode = mode, .flags = MG_SYSCALLS };
	int id = mg_region(memory, MG_PAGE, &options, NULL);

	say("refused", id < 0 ? id : mg_protect(id, 0, MG_PAGE, 0));
	printf("%s\n", mg_problem());
	mg_region_end(id);
}

int main(int count, char **words)
{
	const char *name = count > 1 ? words[1] : "";
	pthread_t thread;

	memory = mmap(NULL, PAGES * MG_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	source = open("/proc/self/exe", O_RDONLY);
	if (mg_start() < 0 || mg_report_file(getenv("REPORT")) < 0) {
		printf("refused: %s\n", mg_problem());
		return 1;
	}
	if (strcmp(name, "refusals") == 0) {
		refusal(MG_DIVERT);
		refusal(MG_THROW);
		return 0;
	}
	memory[4 * MG_PAGE] = 1; /* there; all other pages have never been touched */
	protect(strncmp(name, "report", 6) == 0 ? MG_REPORT : MG_CONTINUE, MG_SYSCALLS,
		strcmp(name, "report-allowed") == 0 ? "write_at" : NULL);
	if (strcmp(name, "calls") == 0) {
		calls();
	} else if (strcmp(name, "user") == 0) {
		write_at(MG_PAGE, 5);
		write_at(MG_PAGE, 6);
		say("value", memory[MG_PAGE]);
		say("still caught", read_into(MG_PAGE, 1));
	} else if (strcmp(name, "toggles") == 0) {
		toggles();
	} else if (strcmp(name, "pages") == 0) {
		threads(reader, NULL);
	} else if (strcmp(name, "one-page") == 0) {
		threads(sharer, NULL);
	} else if (strcmp(name, "owner") == 0) {
		threads(sharer, owner);
	} else if (strcmp(name, "deaf") == 0) {
		pthread_create(&thread, NULL, deaf, NULL);
		pthread_join(thread, NULL);
		while (read_into(MG_PAGE, 1) == 1 && mg_report_last() < 2)
			usleep(1000); /* until the page is protected again */
		say("protected again", 1);
	} else if (strcmp(name, "leave") == 0) {
		leave();
	} else if (strcmp(name, "report") == 0) {
		say("survived", read_into(MG_PAGE, 100));
	} else if (strcmp(name, "report-user") == 0) {
		write_at(MG_PAGE, 1);
		say("survived", 1);
	} else if (strcmp(name, "report-allowed") == 0) {
		write_at(MG_PAGE, 1);
		write_at(MG_PAGE, 2);
		say("value", memory[MG_PAGE]);
		say("unprotect", mg_unprotect(region, MG_PAGE, MG_PAGE));
		memory[MG_PAGE] = 3;
		say("value", memory[MG_PAGE]);
	}
	return 0;
}
