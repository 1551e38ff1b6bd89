/*
 * Xmit: the kernel's cost of moving bytes through a stream socket, by each of its mechanisms.
 *
 *   xmit recv (--tcp PORT | --unix PATH) [--host ADDRESS] [--fan-out N] [--buffer BYTES]
 *        [--pin CPU]
 *   xmit send|splice|sendfile|tee|zerocopy (--tcp PORT | --unix PATH) [--host ADDRESS]
 *        [--message BYTES] [--bytes B | --seconds S] [--fan-out N] [--pool BYTES] [--huge]
 *        [--batch BYTES] [--push BYTES] [--pipe BYTES] [--sndbuf BYTES]
 *        [--pin CPU] [--congestion NAME] [--file PATH]
 *
 * The sender sends B bytes (or for S seconds) to each of N connections, message by message in
 * turn, from a pool of memory that is filled once and never written again; at its end it shuts
 * down and waits until the receiver has closed. `splice` vmsplices --batch bytes (a multiple of
 * the message, or a part of it; default one message) by one call into the connection's pipe and
 * splices the pipe out; `tee` fills master pipes of --batch bytes once, and tees; a splice takes at
 * most --push bytes. `sendfile` sends from a file of the pool's size: --file, which is written
 * anew, or memory. The receiver prints one line with its port, accepts N connections and reads them
 * to their end into one buffer. Each prints one JSON line: bytes, usr and sys microseconds by
 * getrusage over the transfer alone, and the elapsed time.
 *
 * WHY         What TypeScript adds is the difference to this program: the same calls, in C.
 *             No checksum, no filling, no framing: nothing but system calls is in the figures.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define LANES_MAX 256
#define MASTERS_MAX 64
#define HUGE_BYTES (2 << 20)
#define TURNS_A_CLOCK 16
#define ANY_CPU SIZE_MAX
#define PIPE_FLAGS (O_NONBLOCK | O_CLOEXEC)

struct options {
	const char *mode, *host, *unix_path, *congestion, *file;
	double seconds;
	size_t bytes, message, pool, batch, push, pipe, buffer, port, lanes, pin, sndbuf;
	bool is_huge;
};

/* One connection: `at` counts bytes the socket took, `in_pipe` what its pipe still holds. */
struct lane {
	int fd, pipe[2];
	uint64_t at;
	size_t in_pipe;
	uint32_t sent_calls, ended_calls;
};

struct totals {
	struct rusage usage;
	struct timespec time;
};

static struct options options;
static struct lane lanes[LANES_MAX];
static int masters[MASTERS_MAX][2], master_count;
static uint8_t *pool;
static int pool_file;
static uint64_t calls;

static void fail(const char *what)
{
	fprintf(stderr, "xmit: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static void begin_totals(struct totals *totals)
{
	getrusage(RUSAGE_SELF, &totals->usage);
	clock_gettime(CLOCK_MONOTONIC, &totals->time);
}

static double us_between(const struct timeval *from, const struct timeval *to)
{
	return (double)(to->tv_sec - from->tv_sec) * 1e6 + (double)(to->tv_usec - from->tv_usec);
}

static void print_totals(const struct totals *from, uint64_t bytes)
{
	struct rusage now;

	getrusage(RUSAGE_SELF, &now);
	printf("{\"mode\":\"%s\",\"bytes\":%llu,\"usrUs\":%.0f,\"sysUs\":%.0f,\"seconds\":%.6f,"
	       "\"calls\":%llu,\"switches\":%ld}\n",
	       options.mode, (unsigned long long)bytes,
	       us_between(&from->usage.ru_utime, &now.ru_utime),
	       us_between(&from->usage.ru_stime, &now.ru_stime), seconds_since(&from->time),
	       (unsigned long long)calls,
	       now.ru_nvcsw + now.ru_nivcsw - from->usage.ru_nvcsw - from->usage.ru_nivcsw);
	fflush(stdout);
}

static void pin_to(size_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == -1)
		fail("sched_setaffinity");
}

static int make_socket(struct sockaddr_storage *address, socklen_t *length)
{
	struct sockaddr_in *in = (struct sockaddr_in *)address;
	struct sockaddr_un *un = (struct sockaddr_un *)address;
	bool is_unix = options.unix_path != NULL;
	int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(address, 0, sizeof(*address));
	if (is_unix) {
		un->sun_family = AF_UNIX;
		strncpy(un->sun_path, options.unix_path, sizeof(un->sun_path) - 1);
		*length = sizeof(*un);
	} else {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)options.port);
		if (inet_pton(AF_INET, options.host, &in->sin_addr) != 1)
			fail("--host must be an IPv4 address");
		*length = sizeof(*in);
	}
	if (fd == -1)
		fail("socket");
	if (options.sndbuf > 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){(int)options.sndbuf}, sizeof(int));
	if (options.congestion != NULL && !is_unix &&
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, options.congestion,
		       (socklen_t)strlen(options.congestion)) == -1)
		fail("TCP_CONGESTION");
	return fd;
}

/* ---- the receiver ---- */

static void accept_all(struct pollfd *waits)
{
	struct sockaddr_storage address;
	socklen_t length;
	int fd = make_socket(&address, &length), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (options.unix_path != NULL)
		unlink(options.unix_path);
	if (bind(fd, (struct sockaddr *)&address, length) == -1 || listen(fd, LANES_MAX) == -1)
		fail("bind");
	getsockname(fd, (struct sockaddr *)&address, &length);
	printf("{\"port\":%d}\n", ntohs(((struct sockaddr_in *)&address)->sin_port));
	fflush(stdout);
	for (size_t i = 0; i < options.lanes; i++) {
		waits[i].fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		waits[i].events = POLLIN;
		if (waits[i].fd == -1)
			fail("accept4");
	}
	close(fd);
}

static void receive(void)
{
	struct pollfd waits[LANES_MAX];
	struct totals totals;
	uint64_t bytes = 0;
	size_t open = options.lanes;
	uint8_t *buffer = aligned_alloc(4096, options.buffer);

	if (buffer == NULL)
		fail("aligned_alloc");
	memset(buffer, 0, options.buffer);
	accept_all(waits);
	begin_totals(&totals);
	while (open > 0) {
		poll(waits, (nfds_t)options.lanes, -1);
		for (size_t i = 0; i < options.lanes; i++) {
			ssize_t got;

			if (waits[i].fd == -1 || waits[i].revents == 0)
				continue;
			got = recv(waits[i].fd, buffer, options.buffer, 0);
			calls++;
			if (got > 0) {
				bytes += (uint64_t)got;
			} else if (got == 0 || errno != EAGAIN) {
				close(waits[i].fd);
				waits[i].fd = -1;
				open--;
			}
		}
	}
	print_totals(&totals, bytes);
}

/* ---- the sender ---- */

static void make_pool(void)
{
	size_t batch = options.batch == 0 ? options.message : options.batch;
	size_t unit = batch > options.message ? batch : options.message;
	size_t bytes = (options.pool + unit - 1) / unit * unit;

	errno = EINVAL;
	if (unit % batch != 0 || unit % options.message != 0)
		fail("--batch and --message: one must be a multiple of the other");
	options.pool = bytes;
	options.batch = batch;
	if (strcmp(options.mode, "sendfile") == 0) {
		pool_file = options.file != NULL ? open(options.file, O_RDWR | O_CLOEXEC)
						 : memfd_create("xmit", MFD_CLOEXEC);
		if (pool_file == -1 || ftruncate(pool_file, (off_t)bytes) == -1)
			fail("the file of the pool");
		pool = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, pool_file, 0);
	} else {
		pool = mmap(NULL, bytes + HUGE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		pool = (uint8_t *)(((uintptr_t)pool + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1ul));
		if (options.is_huge)
			madvise(pool, (bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1ul),
				MADV_HUGEPAGE);
	}
	if (pool == MAP_FAILED)
		fail("mmap");
	for (size_t i = 0; i < bytes; i += 8)
		*(uint64_t *)(pool + i) = i * 0x9e3779b97f4a7c15ull;
}

static void make_pipe(int *ends)
{
	if (pipe2(ends, PIPE_FLAGS) == -1)
		fail("pipe2");
	if (fcntl(ends[1], F_SETPIPE_SZ, (int)options.pipe) == -1)
		fail("F_SETPIPE_SZ");
}

/* One batch of the pool, or up to its end; a pipe that takes less is no error. */
static size_t fill_pipe(int pipe_end, size_t offset)
{
	size_t left = options.pool - offset;
	struct iovec piece = {pool + offset, options.batch < left ? options.batch : left};
	ssize_t taken = vmsplice(pipe_end, &piece, 1, SPLICE_F_NONBLOCK);

	calls++;
	if (taken <= 0)
		fail("vmsplice");
	return (size_t)taken;
}

static void make_masters(void)
{
	for (size_t at = 0; at < options.pool && master_count < MASTERS_MAX; master_count++) {
		make_pipe(masters[master_count]);
		at += fill_pipe(masters[master_count][1], at);
		if (at % options.batch != 0)
			fail("a master pipe takes less than --batch; --pipe");
	}
}

static void connect_all(void)
{
	struct sockaddr_storage address;
	socklen_t length;
	int on = 1;

	for (size_t i = 0; i < options.lanes; i++) {
		lanes[i].fd = make_socket(&address, &length);
		if (connect(lanes[i].fd, (struct sockaddr *)&address, length) == -1)
			fail("connect");
		fcntl(lanes[i].fd, F_SETFL, fcntl(lanes[i].fd, F_GETFL) | O_NONBLOCK);
		if (strcmp(options.mode, "zerocopy") == 0 &&
		    setsockopt(lanes[i].fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) == -1)
			fail("SO_ZEROCOPY");
		if (strcmp(options.mode, "splice") == 0 || strcmp(options.mode, "tee") == 0)
			make_pipe(lanes[i].pipe);
	}
}

/* How much of the current message is left, and where the pool has it. */
static size_t left_of_message(const struct lane *lane)
{
	return options.message - lane->at % options.message;
}

static ssize_t turn_send(struct lane *lane)
{
	return send(lane->fd, pool + lane->at % options.pool, left_of_message(lane), MSG_NOSIGNAL);
}

static ssize_t turn_sendfile(struct lane *lane)
{
	off_t offset = (off_t)(lane->at % options.pool);

	return sendfile(lane->fd, pool_file, &offset, left_of_message(lane));
}

static ssize_t turn_pipe(struct lane *lane)
{
	size_t push;
	ssize_t sent;

	if (lane->in_pipe == 0 && master_count > 0) {
		int *master = masters[lane->at / options.batch % (uint64_t)master_count];
		ssize_t teed = tee(master[0], lane->pipe[1], options.batch, SPLICE_F_NONBLOCK);

		calls++;
		if (teed != (ssize_t)options.batch)
			fail("tee took less than --batch; --pipe");
		lane->in_pipe = (size_t)teed;
	} else if (lane->in_pipe == 0) {
		lane->in_pipe = fill_pipe(lane->pipe[1], lane->at % options.pool);
	}
	push = options.push > 0 && options.push < lane->in_pipe ? options.push : lane->in_pipe;
	sent = splice(lane->pipe[0], NULL, lane->fd, NULL, push, SPLICE_F_NONBLOCK);
	if (sent > 0)
		lane->in_pipe -= (size_t)sent;
	return sent;
}

static void take_notifications(struct lane *lane)
{
	uint8_t control[128];

	for (;;) {
		struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};
		struct sock_extended_err *report;

		calls++;
		if (recvmsg(lane->fd, &message, MSG_ERRQUEUE) == -1)
			return;
		if (message.msg_controllen < sizeof(struct cmsghdr))
			continue;
		report = (struct sock_extended_err *)CMSG_DATA(CMSG_FIRSTHDR(&message));
		if (report->ee_origin == SO_EE_ORIGIN_ZEROCOPY)
			lane->ended_calls += report->ee_data - report->ee_info + 1;
	}
}

static ssize_t turn_zerocopy(struct lane *lane)
{
	ssize_t sent = send(lane->fd, pool + lane->at % options.pool, left_of_message(lane),
			    MSG_NOSIGNAL | MSG_ZEROCOPY);

	if (sent > 0)
		lane->sent_calls++;
	if (sent == -1 && errno == ENOBUFS)
		errno = EAGAIN;
	if (lane->sent_calls - lane->ended_calls >= 32 || sent == -1) {
		int cause = errno;

		take_notifications(lane);
		errno = cause;
	}
	return sent;
}

typedef ssize_t turn_function(struct lane *);

static turn_function *find_turn(void)
{
	static const struct {
		const char *name;
		turn_function *turn;
	} turns[] = {{"send", turn_send},   {"sendfile", turn_sendfile}, {"splice", turn_pipe},
		     {"tee", turn_pipe},    {"zerocopy", turn_zerocopy}};

	for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++)
		if (strcmp(turns[i].name, options.mode) == 0)
			return turns[i].turn;
	fprintf(stderr, "xmit: no mode %s\n", options.mode);
	exit(2);
}

/* Sends one batch (or what is left of it) to each lane in turn, until all have their share. */
static void send_all(turn_function *turn, const struct timespec *start)
{
	struct pollfd waits[LANES_MAX];
	unsigned turns = 0;

	for (;;) {
		size_t waiting = 0, open = 0;

		if (options.seconds > 0 && turns++ % TURNS_A_CLOCK == 0 &&
		    seconds_since(start) >= options.seconds)
			return;
		for (size_t i = 0; i < options.lanes; i++) {
			struct lane *lane = &lanes[i];
			ssize_t sent;

			if (options.bytes > 0 && lane->at >= options.bytes)
				continue;
			open++;
			sent = turn(lane);
			calls++;
			if (sent > 0)
				lane->at += (uint64_t)sent;
			else if (sent == -1 && errno == EAGAIN)
				waits[waiting++] =
					(struct pollfd){.fd = lane->fd, .events = POLLOUT};
			else
				fail(options.mode);
		}
		if (open == 0)
			return;
		if (waiting == open)
			poll(waits, (nfds_t)waiting, 100);
	}
}

static void transmit(void)
{
	turn_function *turn = find_turn();
	struct totals totals;
	uint64_t bytes = 0;
	char byte;

	make_pool();
	if (strcmp(options.mode, "tee") == 0)
		make_masters();
	connect_all();
	begin_totals(&totals);
	send_all(turn, &totals.time);
	for (size_t i = 0; i < options.lanes; i++)
		shutdown(lanes[i].fd, SHUT_WR);
	for (size_t i = 0; i < options.lanes; i++) {
		struct pollfd wait = {.fd = lanes[i].fd, .events = POLLIN};

		while (poll(&wait, 1, 30000) == 1 && recv(wait.fd, &byte, 1, MSG_DONTWAIT) != 0)
			take_notifications(&lanes[i]);
		bytes += lanes[i].at;
	}
	print_totals(&totals, bytes);
}

/* Where the value of an option goes, as a number or as it is. */
static const struct {
	const char *name;
	size_t *number;
	const char **text;
} takers[] = {
	{"--host", NULL, &options.host}, {"--unix", NULL, &options.unix_path},
	{"--file", NULL, &options.file}, {"--congestion", NULL, &options.congestion},
	{"--tcp", &options.port, NULL}, {"--message", &options.message, NULL},
	{"--bytes", &options.bytes, NULL}, {"--fan-out", &options.lanes, NULL},
	{"--pool", &options.pool, NULL}, {"--batch", &options.batch, NULL},
	{"--push", &options.push, NULL}, {"--pipe", &options.pipe, NULL},
	{"--sndbuf", &options.sndbuf, NULL}, {"--buffer", &options.buffer, NULL},
	{"--pin", &options.pin, NULL},
};

static void take_option(const char *name, const char *value)
{
	if (strcmp(name, "--seconds") == 0) {
		options.seconds = atof(value);
		return;
	}
	for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
		if (strcmp(name, takers[i].name) != 0)
			continue;
		if (takers[i].text != NULL)
			*takers[i].text = value;
		else
			*takers[i].number = strtoul(value, NULL, 10);
		return;
	}
	fprintf(stderr, "xmit: unknown option %s: see the head of xmit.c\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	options = (struct options){.mode = argc > 1 ? argv[1] : "", .host = "127.0.0.1",
				   .message = 65536, .pool = 1 << 20, .pipe = 1 << 20,
				   .buffer = 65536, .lanes = 1, .pin = ANY_CPU};
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--huge") == 0)
			options.is_huge = true;
		else if (i + 1 < argc)
			take_option(argv[i], argv[i + 1]), i++;
	}
	if (options.lanes > LANES_MAX || options.message == 0 || options.buffer == 0)
		return 2;
	if (options.pin != ANY_CPU)
		pin_to(options.pin);
	if (strcmp(options.mode, "recv") == 0)
		receive();
	else
		transmit();
	return 0;
}
