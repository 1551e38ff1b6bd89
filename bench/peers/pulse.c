/*
 * Pulse: how long a record is on its way, measured by one clock.
 *
 *   pulse FILE
 *
 * Listens on 127.0.0.1 as a collector and prints {"port":P}. For each line `PORT RATE SECONDS` on
 * its standard input it sends, as an exporter, RATE records a second to 127.0.0.1:PORT, evenly:
 * what is due is sent each millisecond. The records are those of FILE, each with the time
 * (CLOCK_MONOTONIC in microseconds, 32 bits) in the four bytes of its header that carry the flow
 * context, just before it is sent. A second thread reads what arrives at the collector's end, and
 * notes how old each record is when read(2) has returned. Then it prints one JSON line: records
 * sent and received, the median, the 99th hundredth, the greatest and the mean latency in
 * microseconds.
 *
 * WHY         Exporter and collector in one process: one clock, and no protocol between two.
 * INCLUDED    The sender's system call and the loopback to the server: receive -> destination is
 *             shorter by that, some 20 microseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES (256 * 1024)
#define FRAME_BYTES_MAX 10004
#define PREFIX_BYTES 5
#define STAMP_OFFSET 11
#define LATENCY_US_MAX 2000000
#define TICK_US 1000
#define SETTLE_US 5000000

static uint32_t histogram[LATENCY_US_MAX + 1];
static atomic_ullong received;
static uint8_t *stream;
static size_t stream_bytes;

static void fail(const char *what)
{
	fprintf(stderr, "pulse: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static size_t frame_bytes(const uint8_t *at)
{
	return PREFIX_BYTES + (size_t)(at[1] - '0') * 1000 + (size_t)(at[2] - '0') * 100 +
	       (size_t)(at[3] - '0') * 10 + (size_t)(at[4] - '0');
}

static void load(const char *path)
{
	FILE *file = fopen(path, "re");
	struct stat stat;

	if (file == NULL || fstat(fileno(file), &stat) == -1)
		fail(path);
	stream_bytes = (size_t)stat.st_size;
	stream = malloc(stream_bytes);
	if (stream == NULL || fread(stream, 1, stream_bytes, file) != stream_bytes)
		fail(path);
	fclose(file);
}

/* ---- the collector ---- */

static size_t note_all(const uint8_t *bytes, size_t have)
{
	uint32_t now = (uint32_t)now_us();
	size_t at = 0;

	while (have - at >= PREFIX_BYTES) {
		size_t length = frame_bytes(bytes + at);
		uint32_t stamp, age;

		if (have - at < length)
			break;
		memcpy(&stamp, bytes + at + STAMP_OFFSET, sizeof(stamp));
		age = now - stamp;
		histogram[age < LATENCY_US_MAX ? age : LATENCY_US_MAX]++;
		atomic_fetch_add(&received, 1);
		at += length;
	}
	return at;
}

static void *collect(void *listener)
{
	static uint8_t bytes[FRAME_BYTES_MAX + READ_BYTES];

	for (;;) {
		int fd = accept4(*(int *)listener, NULL, NULL, SOCK_CLOEXEC);
		size_t held = 0;

		if (fd == -1)
			fail("accept");
		for (;;) {
			ssize_t got = read(fd, bytes + held, READ_BYTES);
			size_t used;

			if (got <= 0)
				break;
			held += (size_t)got;
			used = note_all(bytes, held);
			held -= used;
			memmove(bytes, bytes + used, held);
		}
		close(fd);
	}
	return NULL;
}

static int listen_here(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || bind(fd, (struct sockaddr *)&address, length) == -1 || listen(fd, 8) == -1)
		fail("listen");
	getsockname(fd, (struct sockaddr *)&address, &length);
	printf("{\"port\":%d}\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

/* ---- the exporter ---- */

static int connect_to(int port)
{
	struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1 ||
	    connect(fd, (struct sockaddr *)&target, sizeof(target)) == -1)
		fail("connect");
	return fd;
}

static void send_all(int fd, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

		if (sent == -1)
			fail("send");
		bytes += sent;
		length -= (size_t)sent;
	}
}

/* Whole records from `*at` on, at most `count`, stamped and sent with one call. */
static uint64_t send_due(int fd, size_t *at, uint64_t count)
{
	uint32_t stamp = (uint32_t)now_us();
	size_t end = *at;
	uint64_t done = 0;

	while (done < count && end < stream_bytes) {
		memcpy(stream + end + STAMP_OFFSET, &stamp, sizeof(stamp));
		end += frame_bytes(stream + end);
		done++;
	}
	send_all(fd, stream + *at, end - *at);
	*at = end == stream_bytes ? 0 : end;
	return done;
}

static uint64_t export_records(int port, double rate, double seconds)
{
	uint64_t wanted = (uint64_t)(rate * seconds), sent = 0, start;
	int fd = connect_to(port);
	size_t at = 0;

	start = now_us();
	while (sent < wanted) {
		uint64_t due = (uint64_t)((double)(now_us() - start) * rate / 1e6) + 1;

		if (due > wanted)
			due = wanted;
		while (sent < due)
			sent += send_due(fd, &at, due - sent);
		usleep(TICK_US);
	}
	close(fd);
	return sent;
}

static void print_totals(uint64_t sent, uint64_t arrived)
{
	uint64_t seen = 0, sum = 0;
	uint32_t p50 = 0, p99 = 0, most = 0;
	bool has_p50 = false, has_p99 = false;

	for (uint32_t us = 0; us <= LATENCY_US_MAX; us++) {
		if (histogram[us] == 0)
			continue;
		seen += histogram[us];
		sum += (uint64_t)histogram[us] * us;
		most = us;
		if (!has_p50 && seen * 2 >= arrived)
			p50 = us, has_p50 = true;
		if (!has_p99 && seen * 100 >= arrived * 99)
			p99 = us, has_p99 = true;
	}
	printf("{\"sent\":%llu,\"received\":%llu,\"p50Us\":%u,\"p99Us\":%u,\"mostUs\":%u,"
	       "\"meanUs\":%.1f}\n",
	       (unsigned long long)sent, (unsigned long long)arrived, p50, p99, most,
	       seen == 0 ? 0.0 : (double)sum / (double)seen);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	double rate, seconds;
	pthread_t thread;
	char line[256];
	int listener, port;

	if (argc != 2) {
		fprintf(stderr, "usage: pulse FILE\n");
		return 2;
	}
	load(argv[1]);
	listener = listen_here();
	if (pthread_create(&thread, NULL, collect, &listener) != 0)
		fail("pthread_create");
	while (fgets(line, sizeof(line), stdin) != NULL) {
		uint64_t sent, until;

		if (sscanf(line, "%d %lf %lf", &port, &rate, &seconds) != 3)
			return 2;
		memset(histogram, 0, sizeof(histogram));
		atomic_store(&received, 0);
		sent = export_records(port, rate, seconds);
		until = now_us() + SETTLE_US;
		while (atomic_load(&received) < sent && now_us() < until)
			usleep(TICK_US);
		print_totals(sent, atomic_load(&received));
	}
	return 0;
}
