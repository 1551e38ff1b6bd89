/*
 * Sink: a collector that reads and throws away, for the forwarder and for its yardstick alike.
 *
 *   sink
 *
 * Listens on 127.0.0.1, prints {"port":P}, accepts whoever comes and reads 256 KiB at a time. For
 * each line on its standard input it prints {"bytes":N,"each":[N,...]}, all bytes and those of each
 * connection in the order in which they came, from its start on; at the end of its input it ends.
 *
 * WHY         What a receiver does decides who pays for what on loopback: both sides meet the same.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES (256 * 1024)
#define EVENTS_MAX 64
#define BACKLOG 128
#define CONNECTIONS_MAX 4096
#define FD_COUNT 8192

static uint8_t bytes[READ_BYTES];
static uint64_t total_bytes, each[CONNECTIONS_MAX];
static size_t connections;
/* Which connection a descriptor is. */
static size_t index_of[FD_COUNT];

static void fail(const char *what)
{
	fprintf(stderr, "sink: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == -1)
		fail("epoll_ctl");
}

static int listen_here(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || bind(fd, (struct sockaddr *)&address, length) == -1 ||
	    listen(fd, BACKLOG) == -1)
		fail("listen");
	getsockname(fd, (struct sockaddr *)&address, &length);
	printf("{\"port\":%d}\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

/* One question, or the end. */
static void answer(void)
{
	char line[256];

	if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
		exit(0);
	printf("{\"bytes\":%llu,\"each\":[", (unsigned long long)total_bytes);
	for (size_t i = 0; i < connections; i++)
		printf("%s%llu", i > 0 ? "," : "", (unsigned long long)each[i]);
	printf("]}\n");
	fflush(stdout);
}

static void receive(int fd)
{
	ssize_t got = read(fd, bytes, sizeof(bytes));

	if (got > 0) {
		total_bytes += (uint64_t)got;
		each[index_of[fd]] += (uint64_t)got;
	} else if (got == 0 || errno != EINTR) {
		close(fd);
	}
}

int main(void)
{
	struct epoll_event events[EVENTS_MAX];
	int epoll = epoll_create1(EPOLL_CLOEXEC), listener = listen_here();

	watch(epoll, listener);
	watch(epoll, STDIN_FILENO);
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS_MAX, -1);

		if (count == -1 && errno != EINTR)
			fail("epoll_wait");
		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;

			if (fd == STDIN_FILENO) {
				answer();
			} else if (fd == listener) {
				int source = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

				if (source == -1)
					fail("accept");
				if (connections == CONNECTIONS_MAX || source >= FD_COUNT) {
					errno = EMFILE;
					fail("accept");
				}
				index_of[source] = connections++;
				watch(epoll, source);
			} else {
				receive(fd);
			}
		}
	}
}
