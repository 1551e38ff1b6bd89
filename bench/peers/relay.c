/*
 * Relay: the least that forwards an RDRv1 stream to N collectors, in C.
 *
 *   relay forward|filter --to PORT --destinations N [--read BYTES]
 *
 * Listens on 127.0.0.1, prints {"port":P}, connects to 127.0.0.1:PORT N times and accepts one
 * source. Until that ends it reads 256 KiB at a time and write()s it to every destination. `filter`
 * follows the length digits of each record, keeps Transaction Usage whose field 6 (server port) is
 * below 32768, puts the chosen records next to each other in one buffer, and write()s that to every
 * destination. At the end it shuts the destinations down, waits until they have closed, and prints
 * one JSON line: bytes and records in, bytes out, and CPU time of the thread in microseconds:
 * writeUs within write(2) alone, chooseUs that of parsing, filtering and gathering, cpuUs of all.
 *
 * WHY         A figure of the forwarder means nothing alone: the same bytes over the same kernel,
 *             with the same socket options, have to be measured beside it.
 * STRICT      The sockets block and MSG_WAITALL fills the buffer, so that each write() moves 256
 *             KiB and no call is made in vain; one filter and one gathered copy serve all
 *             destinations. A relay that cares for slow destinations does more.
 * REFUSED     Reconnecting, a journal, backlogs: a yardstick does the least.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rdr.h"

#define READ_BYTES (256 * 1024)
#define DESTINATIONS_MAX 64
#define TAG_OFFSET 15
#define FIELD_COUNT_OFFSET 19
#define CHOSEN_TAG 0xf0f0f438
#define CHOSEN_FIELD 6
#define CHOSEN_BELOW 32768
#define UINT16_TYPE 15

struct options {
	bool is_filtering;
	int to, destinations;
	size_t read;
};

struct totals {
	uint64_t bytes, records, chosen, sent, writes, reads;
	double write_us, choose_us;
};

static uint8_t in[FRAME_BYTES_MAX + READ_BYTES], out[FRAME_BYTES_MAX + READ_BYTES];

static double thread_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static int connect_to(int port)
{
	struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1)
		fail("socket");
	if (connect(fd, (struct sockaddr *)&target, sizeof(target)) == -1)
		fail("connect");
	return fd;
}

static int accept_one(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), source;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || bind(fd, (struct sockaddr *)&address, length) == -1 || listen(fd, 1) == -1)
		fail("listen");
	getsockname(fd, (struct sockaddr *)&address, &length);
	printf("{\"port\":%d}\n", ntohs(address.sin_port));
	fflush(stdout);
	source = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (source == -1)
		fail("accept");
	close(fd);
	return source;
}

static void write_all(int fd, const uint8_t *bytes, size_t length, struct totals *totals)
{
	while (length > 0) {
		ssize_t wrote = write(fd, bytes, length);

		if (wrote == -1 && errno == EINTR)
			continue;
		if (wrote == -1)
			fail("write");
		bytes += wrote;
		length -= (size_t)wrote;
		totals->sent += (uint64_t)wrote;
		totals->writes++;
	}
}

static void send_to_all(const struct options *options, const int *fds, const uint8_t *bytes,
			size_t length, struct totals *totals)
{
	double from = thread_us();

	for (int i = 0; i < options->destinations; i++)
		write_all(fds[i], bytes, length, totals);
	totals->write_us += thread_us() - from;
}

static inline uint32_t number_at(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return ntohl(value);
}

static inline bool is_chosen(const uint8_t *record, size_t length)
{
	const uint8_t *at = record + HEADER_BYTES, *end = record + length;

	if (length < HEADER_BYTES || number_at(record + TAG_OFFSET) != CHOSEN_TAG ||
	    record[FIELD_COUNT_OFFSET] <= CHOSEN_FIELD)
		return false;
	for (int i = 0; i <= CHOSEN_FIELD; i++) {
		size_t room = (size_t)(end - at), value_bytes;

		if (room < FIELD_HEADER_BYTES)
			return false;
		value_bytes = number_at(at + 1);
		if (value_bytes > room - FIELD_HEADER_BYTES)
			return false;
		if (i == CHOSEN_FIELD)
			return at[0] == UINT16_TYPE && value_bytes == 2 &&
			       ((unsigned)at[5] << 8 | at[6]) < CHOSEN_BELOW;
		at += FIELD_HEADER_BYTES + value_bytes;
	}
	return false;
}

/* Chosen records go to `out`; returns the bytes of whole records, and how many were chosen. */
static size_t choose(size_t have, size_t *gathered, struct totals *totals)
{
	double from = thread_us();
	size_t at = 0;

	*gathered = 0;
	while (have - at >= PREFIX_BYTES) {
		size_t length = frame_bytes(in + at);

		if (have - at < length)
			break;
		if (is_chosen(in + at, length)) {
			memcpy(out + *gathered, in + at, length);
			*gathered += length;
			totals->chosen++;
		}
		at += length;
		totals->records++;
	}
	totals->choose_us += thread_us() - from;
	return at;
}

static void relay(const struct options *options, int source, const int *fds, struct totals *totals)
{
	size_t held = 0, gathered, used;

	for (;;) {
		ssize_t got = recv(source, in + held, options->read, MSG_WAITALL);

		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			fail("recv");
		if (got == 0)
			break;
		totals->bytes += (uint64_t)got;
		totals->reads++;
		if (!options->is_filtering) {
			send_to_all(options, fds, in, (size_t)got, totals);
			continue;
		}
		used = choose(held + (size_t)got, &gathered, totals);
		held = held + (size_t)got - used;
		memmove(in, in + used, held);
		send_to_all(options, fds, out, gathered, totals);
	}
	if (held > 0)
		bad_stream("it ends within a record");
}

static void parse_options(int argc, char **argv, struct options *options)
{
	*options = (struct options){.destinations = 1, .read = READ_BYTES};
	options->is_filtering = argc > 1 && strcmp(argv[1], "filter") == 0;
	for (int i = 2; i + 1 < argc; i += 2) {
		int value = atoi(argv[i + 1]);

		if (strcmp(argv[i], "--to") == 0)
			options->to = value;
		if (strcmp(argv[i], "--destinations") == 0)
			options->destinations = value;
		if (strcmp(argv[i], "--read") == 0)
			options->read = (size_t)value;
	}
	if (options->to > 0 && options->destinations >= 1 &&
	    options->destinations <= DESTINATIONS_MAX && options->read > 0 &&
	    options->read <= READ_BYTES)
		return;
	fprintf(stderr, "usage: relay forward|filter --to PORT --destinations N [--read BYTES]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	struct options options;
	struct totals totals = {0};
	int fds[DESTINATIONS_MAX], source;
	double from;
	char byte;

	parse_options(argc, argv, &options);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < options.destinations; i++)
		fds[i] = connect_to(options.to);
	source = accept_one();
	from = thread_us();
	relay(&options, source, fds, &totals);
	for (int i = 0; i < options.destinations; i++) {
		shutdown(fds[i], SHUT_WR);
		while (recv(fds[i], &byte, 1, 0) > 0)
			continue;
	}
	close(source);
	printf("{\"bytes\":%llu,\"records\":%llu,\"chosen\":%llu,\"sentBytes\":%llu,"
	       "\"reads\":%llu,\"writes\":%llu,\"writeUs\":%.1f,\"chooseUs\":%.1f,"
	       "\"cpuUs\":%.1f}\n",
	       (unsigned long long)totals.bytes, (unsigned long long)totals.records,
	       (unsigned long long)totals.chosen, (unsigned long long)totals.sent,
	       (unsigned long long)totals.reads, (unsigned long long)totals.writes,
	       totals.write_us, totals.choose_us, thread_us() - from);
	return 0;
}
