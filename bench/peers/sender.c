/*
 * Sender: puts a ready-made RDRv1 stream on the wire as fast as TCP takes it, or at a given rate.
 *
 *   sender FILE HOST PORT [--records N | --seconds S] [--connections N] [--sources N] [--rate R]
 *          [--send-buffer BYTES] [--settle SECONDS]
 *
 * The file (whole records) is mapped and sent again and again, connection i from a start of its
 * own, until N records in all are sent (default: the file once) or S seconds are over; every
 * connection ends behind a whole record. --sources binds 127.0.0.1, 127.0.0.2, ... in turn, so
 * that one machine looks like several exporters. --rate is records a second over all connections.
 * Then it ends its side, waits until the receiver has closed (at most --settle seconds, default
 * 30) and prints one JSON line: records, bytes, seconds, cpuUs, and whether all were closed.
 *
 * WHY         The receiver under test and the yardstick must be fed by the same cheap process: a
 *             generator that encodes would take the second CPU's time from what is measured.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SEND_BYTES (256 * 1024)
#define PREFIX_BYTES 5
#define CONNECTIONS_MAX 256
#define PACE_US 2000

struct options {
	const char *path, *host;
	double records, seconds, rate, settle;
	int port, connections, sources, send_buffer;
};

/* The mapped file and where each of its records starts; starts[count] is its end. */
struct stream {
	const uint8_t *bytes;
	uint64_t *starts;
	size_t count;
};

/* `at` is the record being sent, `sent` the bytes of the current run of whole records. */
struct connection {
	int fd;
	size_t at, run_end;
	uint64_t offset;
	double left;
	bool is_done;
};

static uint64_t bytes_sent;
static double records_taken;

static void fail(const char *what)
{
	fprintf(stderr, "sender: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static double cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 + usage.ru_utime.tv_usec +
	       usage.ru_stime.tv_usec;
}

static uint64_t frame_bytes(const uint8_t *at)
{
	uint64_t value = 0;

	for (int i = 1; i <= 4; i++) {
		if (at[i] < '0' || at[i] > '9')
			return 0;
		value = value * 10 + (uint64_t)(at[i] - '0');
	}
	return PREFIX_BYTES + value;
}

static void map_stream(const char *path, struct stream *stream)
{
	size_t capacity = 1 << 16;
	struct stat stat;
	uint64_t at = 0, size;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1 || fstat(fd, &stat) == -1)
		fail(path);
	size = (uint64_t)stat.st_size;
	stream->bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	stream->starts = malloc(capacity * sizeof(uint64_t));
	if (stream->bytes == MAP_FAILED || stream->starts == NULL)
		fail("mmap");
	close(fd);
	while (at < size) {
		uint64_t length = size - at < PREFIX_BYTES ? 0 : frame_bytes(stream->bytes + at);

		if (length == 0 || length > size - at) {
			fprintf(stderr, "sender: %s: no whole record at byte %llu\n", path,
				(unsigned long long)at);
			exit(1);
		}
		if (stream->count + 1 == capacity) {
			capacity *= 2;
			stream->starts = realloc(stream->starts, capacity * sizeof(uint64_t));
			if (stream->starts == NULL)
				fail("realloc");
		}
		stream->starts[stream->count++] = at;
		at += length;
	}
	stream->starts[stream->count] = size;
}

static int connect_from(const struct options *options, int index)
{
	struct sockaddr_in target = {.sin_family = AF_INET}, source = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	target.sin_port = htons((uint16_t)options->port);
	if (inet_pton(AF_INET, options->host, &target.sin_addr) != 1)
		fail("HOST must be an IPv4 address");
	source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(index % options->sources));
	if (fd == -1)
		fail("socket");
	if (options->send_buffer != 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &options->send_buffer, sizeof(int)) == -1)
		fail("setsockopt");
	if (options->sources > 1 &&
	    bind(fd, (struct sockaddr *)&source, sizeof(source)) == -1)
		fail("bind");
	if (connect(fd, (struct sockaddr *)&target, sizeof(target)) == -1)
		fail("connect");
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return fd;
}

/* The next run of whole records: up to SEND_BYTES, the file's end, or what may still be sent. */
static bool next_run(const struct stream *stream, struct connection *connection, double allowed)
{
	size_t first = connection->at == stream->count ? 0 : connection->at, last = first;
	double most = connection->left < allowed ? connection->left : allowed;

	connection->at = first;
	while (last < stream->count && (double)(last - first) + 1 <= most &&
	       stream->starts[last + 1] - stream->starts[first] <= SEND_BYTES)
		last++;
	connection->offset = stream->starts[first];
	connection->run_end = last;
	connection->left -= (double)(last - first);
	records_taken += (double)(last - first);
	return last > first;
}

/* True when the kernel took something. */
static bool send_some(const struct stream *stream, struct connection *connection)
{
	uint64_t end = stream->starts[connection->run_end];
	ssize_t sent = send(connection->fd, stream->bytes + connection->offset,
			    end - connection->offset, MSG_NOSIGNAL);

	if (sent == -1 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (sent == -1)
		fail("send");
	bytes_sent += (uint64_t)sent;
	connection->offset += (uint64_t)sent;
	if (connection->offset == end)
		connection->at = connection->run_end;
	return true;
}

static void end_connection(struct connection *connection)
{
	shutdown(connection->fd, SHUT_WR);
	connection->is_done = true;
}

/* One turn over all connections; returns how many still send. */
static int turn(const struct options *options, const struct stream *stream,
		struct connection *connections, double start)
{
	double allowed = 1e18, elapsed = now_seconds() - start;
	bool is_over = options->seconds > 0 && elapsed >= options->seconds;
	struct pollfd waits[CONNECTIONS_MAX];
	int open = 0, waiting = 0;
	bool moved = false;

	for (int i = 0; i < options->connections; i++) {
		struct connection *connection = &connections[i];
		bool is_between = connection->at == connection->run_end;

		if (connection->is_done)
			continue;
		if (options->rate > 0)
			allowed = elapsed * options->rate - records_taken;
		if (is_between && (is_over || connection->left < 1)) {
			end_connection(connection);
			continue;
		}
		open++;
		if (is_between && !next_run(stream, connection, allowed))
			continue;
		if (send_some(stream, connection))
			moved = true;
		else
			waits[waiting++] = (struct pollfd){.fd = connection->fd, .events = POLLOUT};
	}
	if (!moved && waiting > 0)
		poll(waits, (nfds_t)waiting, 10);
	else if (!moved && open > 0)
		usleep(PACE_US);
	return open;
}

/* The receiver ends its side when it has read everything; true when all did in time. */
static bool settle(const struct options *options, struct connection *connections)
{
	double limit = now_seconds() + options->settle;
	char byte;

	for (int i = 0; i < options->connections; i++) {
		struct pollfd wait = {.fd = connections[i].fd, .events = POLLIN};
		double left = limit - now_seconds();

		if (poll(&wait, 1, left > 0 ? (int)(left * 1000) : 0) != 1 ||
		    recv(connections[i].fd, &byte, 1, MSG_DONTWAIT) != 0)
			return false;
	}
	return true;
}

static void parse_options(int argc, char **argv, struct options *options)
{
	if (argc < 4) {
		fprintf(stderr, "usage: sender FILE HOST PORT [--records N | --seconds S] "
				"[--connections N] [--sources N] [--rate R] [--send-buffer BYTES] "
				"[--settle SECONDS]\n");
		exit(2);
	}
	*options = (struct options){.path = argv[1], .host = argv[2], .port = atoi(argv[3]),
				    .connections = 1, .sources = 1, .settle = 30};
	for (int i = 4; i + 1 < argc; i += 2) {
		double value = atof(argv[i + 1]);

		if (strcmp(argv[i], "--records") == 0)
			options->records = value;
		if (strcmp(argv[i], "--seconds") == 0)
			options->seconds = value;
		if (strcmp(argv[i], "--rate") == 0)
			options->rate = value;
		if (strcmp(argv[i], "--settle") == 0)
			options->settle = value;
		if (strcmp(argv[i], "--connections") == 0)
			options->connections = (int)value;
		if (strcmp(argv[i], "--sources") == 0)
			options->sources = (int)value;
		if (strcmp(argv[i], "--send-buffer") == 0)
			options->send_buffer = (int)value;
	}
	if (options->connections < 1 || options->connections > CONNECTIONS_MAX ||
	    options->sources < 1 || options->sources > 200)
		exit(2);
}

int main(int argc, char **argv)
{
	struct connection connections[CONNECTIONS_MAX] = {0};
	struct options options;
	struct stream stream = {0};
	double start, seconds;
	bool is_settled;

	parse_options(argc, argv, &options);
	map_stream(options.path, &stream);
	if (options.records == 0)
		options.records = options.seconds > 0 ? 1e15 : (double)stream.count;
	for (int i = 0; i < options.connections; i++) {
		size_t share = (size_t)(options.records / options.connections);
		bool is_last = i == options.connections - 1;

		connections[i].fd = connect_from(&options, i);
		connections[i].at = stream.count / (size_t)options.connections * (size_t)i;
		connections[i].run_end = connections[i].at;
		connections[i].left =
			is_last ? options.records - (double)share * i : (double)share;
	}
	start = now_seconds();
	while (turn(&options, &stream, connections, start) > 0)
		continue;
	seconds = now_seconds() - start;
	is_settled = settle(&options, connections);
	printf("{\"records\":%.0f,\"bytes\":%llu,\"seconds\":%.6f,\"settledSeconds\":%.6f,"
	       "\"cpuUs\":%.0f,\"recordsInFile\":%zu,\"settled\":%s}\n",
	       records_taken, (unsigned long long)bytes_sent, seconds, now_seconds() - start,
	       cpu_us(), stream.count, is_settled ? "true" : "false");
	return 0;
}
