/*
 * Yardstick: the least that any receiver of an RDRv1 stream must do, in C.
 *
 *   yardstick frame|walk [--port P] [--connections N] [--receive-buffer BYTES] [--low-water BYTES]
 *
 * Listens on 127.0.0.1, prints {"port":P}, accepts N connections, reads 128 KiB at a time and,
 * until all have ended, `frame` follows the four length digits of each record; `walk` also follows
 * every field, and adds up type and length of each so that the work cannot be optimised away. Then
 * it prints one JSON line: records, bytes, reads, CPU µs (getrusage, from the first connection on).
 *
 * WHY         A figure of ours means nothing alone: the same stream, the same kernel work and the
 *             same socket options must be measured beside it, in the same minute.
 * REFUSED     Copying records out, resynchronising, counting per tag: a yardstick does the least.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rdr.h"

#define READ_BYTES (128 * 1024)
#define CONNECTIONS_MAX 256

struct options {
	bool walk;
	int port, connections, receive_buffer, low_water;
};

struct totals {
	uint64_t records, bytes, reads, fields, sum;
};

/* What is left of a record that the end of a read has cut waits at the start of `bytes`. */
struct connection {
	int fd;
	size_t held;
	uint8_t bytes[FRAME_BYTES_MAX + READ_BYTES];
};

static double cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 + usage.ru_utime.tv_usec +
	       usage.ru_stime.tv_usec;
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static inline void walk_fields(const uint8_t *record, size_t length, struct totals *totals)
{
	const uint8_t *at = record + HEADER_BYTES, *end = record + length;
	uint64_t sum = 0;
	int count = record[19];

	for (int i = 0; i < count; i++) {
		uint32_t field_length;

		if (end - at < FIELD_HEADER_BYTES)
			bad_stream("fields beyond the record");
		memcpy(&field_length, at + 1, 4);
		field_length = ntohl(field_length);
		sum += at[0] * (uint64_t)31 + field_length;
		at += FIELD_HEADER_BYTES;
		if ((size_t)(end - at) < field_length)
			bad_stream("a field length beyond the record");
		at += field_length;
	}
	if (at != end)
		bad_stream("fields do not fill the record");
	totals->fields += (uint64_t)count;
	totals->sum += sum;
}

/* Consumes the whole records at the start of `bytes`; returns how many bytes those were. */
static size_t consume(const uint8_t *bytes, size_t have, bool walk, struct totals *totals)
{
	size_t at = 0;

	while (have - at >= PREFIX_BYTES) {
		size_t length = frame_bytes(bytes + at);

		if (have - at < length)
			break;
		if (walk)
			walk_fields(bytes + at, length, totals);
		at += length;
		totals->records++;
	}
	return at;
}

/* One read; false at the end of the stream. */
static bool receive(struct connection *connection, bool walk, struct totals *totals)
{
	ssize_t got = recv(connection->fd, connection->bytes + connection->held, READ_BYTES,
			   MSG_DONTWAIT);
	size_t have, used;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (got < 0)
		fail("recv");
	if (got == 0)
		return false;
	totals->bytes += (uint64_t)got;
	totals->reads++;
	have = connection->held + (size_t)got;
	used = consume(connection->bytes, have, walk, totals);
	connection->held = have - used;
	if (used != 0)
		memmove(connection->bytes, connection->bytes + used, connection->held);
	return true;
}

static void set_option(int fd, int option, int value)
{
	if (value != 0 && setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)) == -1)
		fail("setsockopt");
}

static int listen_on(const struct options *options)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t)options->port),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(address);

	set_option(fd, SO_REUSEADDR, 1);
	set_option(fd, SO_RCVBUF, options->receive_buffer);
	if (fd == -1 || bind(fd, (struct sockaddr *)&address, sizeof(address)) == -1 ||
	    listen(fd, CONNECTIONS_MAX) == -1 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) == -1)
		fail("listen");
	printf("{\"port\":%d}\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

static void accept_all(int listener, int epoll_fd, const struct options *options,
		       struct connection *connections)
{
	for (int i = 0; i < options->connections; i++) {
		struct epoll_event event = {.events = EPOLLIN};

		connections[i].fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (connections[i].fd == -1)
			fail("accept");
		set_option(connections[i].fd, SO_RCVLOWAT, options->low_water);
		event.data.ptr = &connections[i];
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connections[i].fd, &event) == -1)
			fail("epoll_ctl");
	}
	close(listener);
}

static void run(const struct options *options, int epoll_fd, struct totals *totals)
{
	struct epoll_event events[64];
	int open = options->connections;

	while (open > 0) {
		int ready = epoll_wait(epoll_fd, events, 64, -1);

		for (int i = 0; i < ready; i++) {
			struct connection *connection = events[i].data.ptr;

			if (receive(connection, options->walk, totals))
				continue;
			if (connection->held != 0)
				bad_stream("it ends within a record");
			close(connection->fd);
			open--;
		}
	}
}

static void parse_options(int argc, char **argv, struct options *options)
{
	if (argc < 2 || (strcmp(argv[1], "frame") != 0 && strcmp(argv[1], "walk") != 0)) {
		fprintf(stderr, "usage: yardstick frame|walk [--port P] [--connections N] "
				"[--receive-buffer BYTES] [--low-water BYTES]\n");
		exit(2);
	}
	options->walk = strcmp(argv[1], "walk") == 0;
	options->connections = 1;
	for (int i = 2; i + 1 < argc; i += 2) {
		int value = atoi(argv[i + 1]);

		if (strcmp(argv[i], "--port") == 0)
			options->port = value;
		if (strcmp(argv[i], "--connections") == 0)
			options->connections = value;
		if (strcmp(argv[i], "--receive-buffer") == 0)
			options->receive_buffer = value;
		if (strcmp(argv[i], "--low-water") == 0)
			options->low_water = value;
	}
	if (options->connections < 1 || options->connections > CONNECTIONS_MAX)
		exit(2);
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct totals totals = {0};
	struct connection *connections;
	double cpu_start, start_us;
	int epoll_fd, listener;

	parse_options(argc, argv, &options);
	connections = calloc((size_t)options.connections, sizeof(*connections));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (connections == NULL || epoll_fd == -1)
		fail("start");
	listener = listen_on(&options);
	accept_all(listener, epoll_fd, &options, connections);
	cpu_start = cpu_us();
	start_us = now_us();
	run(&options, epoll_fd, &totals);
	double cpu = cpu_us() - cpu_start, seconds = (now_us() - start_us) / 1e6;
	printf("{\"mode\":\"%s\",\"records\":%llu,\"bytes\":%llu,\"reads\":%llu,\"fields\":%llu,"
	       "\"sum\":%llu,\"cpuUs\":%.0f,\"seconds\":%.6f,\"cpuUsPerRecord\":%.4f}\n",
	       argv[1], (unsigned long long)totals.records, (unsigned long long)totals.bytes,
	       (unsigned long long)totals.reads, (unsigned long long)totals.fields,
	       (unsigned long long)totals.sum, cpu, seconds,
	       totals.records == 0 ? 0 : cpu / (double)totals.records);
	return 0;
}
