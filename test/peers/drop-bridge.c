/*
 * Drop-bridge: joins two network namespaces by two TUN devices, and drops chosen TCP segments once.
 *
 *   drop-bridge NEAR FAR [N ...]
 *
 * NEAR and FAR are names of ip-netns(8); each gets the device `tun`, which the caller gives an
 * address and sets up. The N-th segment with data from NEAR to FAR is dropped (N from 1; sent again
 * it counts as another one). Prints `ready` when both devices are there, `dropped N` for each.
 * Commands on the standard input: `hold` stops all packets after the next drop, `go` lets them
 * pass again. Ends with its standard input.
 *
 * WHY         A segment that is sent again is read from the sender's memory again: a page that was
 *             rewritten before the acknowledgement arrives changed, with a right checksum. Neither
 *             netem nor nftables are needed for it.
 * CHECKSUMS   The devices take packets without one (so that TCP sends pages by reference); it is
 *             computed here, from the bytes as they leave, and the far kernel verifies it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PACKET_BYTES 70000
#define DROPS_MAX 64
#define PROTOCOL_TCP 6

static unsigned long drops[DROPS_MAX];
static size_t drop_count;
static unsigned long segments;
static bool will_hold, is_held;

static void fail(const char *what)
{
	fprintf(stderr, "drop-bridge: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A TUN device of the namespace, whose packets come and go with a virtio_net_hdr. */
static int open_tun(const char *namespace)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
	char path[256];
	int where, fd;

	snprintf(path, sizeof(path), "/run/netns/%s", namespace);
	where = open(path, O_RDONLY | O_CLOEXEC);
	if (where == -1 || setns(where, CLONE_NEWNET) == -1)
		fail(path);
	close(where);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		fail("/dev/net/tun");
	strcpy(request.ifr_name, "tun");
	if (ioctl(fd, TUNSETIFF, &request) == -1)
		fail("TUNSETIFF");
	if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM) == -1)
		fail("TUNSETOFFLOAD");
	return fd;
}

/* Writes the checksum that the kernel has left to the device: RFC 1071. */
static void complete_checksum(struct virtio_net_hdr *head, uint8_t *packet, size_t length)
{
	size_t start = head->csum_start, place = start + head->csum_offset;
	uint32_t sum = 0;
	uint16_t result;

	if ((head->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0 || place + 2 > length)
		return;
	for (size_t i = start; i < length; i++)
		sum += (uint32_t)packet[i] << ((i - start) % 2 == 0 ? 8 : 0);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	result = htons((uint16_t)~sum);
	memcpy(packet + place, &result, 2);
	memset(head, 0, sizeof(*head));
}

/* Whether the packet is a TCP segment of IPv4 with data. */
static bool has_data(const uint8_t *packet, size_t length)
{
	size_t ip = (packet[0] & 15) * 4u;

	if (length < 40 || packet[0] >> 4 != 4 || packet[9] != PROTOCOL_TCP || ip + 20 > length)
		return false;
	return length > ip + (packet[ip + 12] >> 4) * 4u;
}

static bool is_dropped(void)
{
	segments++;
	for (size_t i = 0; i < drop_count; i++) {
		if (drops[i] != segments)
			continue;
		printf("dropped %lu\n", segments);
		is_held = will_hold;
		return true;
	}
	return false;
}

/* One packet from one device to the other; false when there is none. */
static bool pass_one(int from, int to, bool may_drop)
{
	static uint8_t buffer[sizeof(struct virtio_net_hdr) + PACKET_BYTES];
	struct virtio_net_hdr *head = (struct virtio_net_hdr *)buffer;
	uint8_t *packet = buffer + sizeof(*head);
	ssize_t got = read(from, buffer, sizeof(buffer));

	if (got <= (ssize_t)sizeof(*head))
		return false;
	got -= (ssize_t)sizeof(*head);
	if (may_drop && has_data(packet, (size_t)got) && is_dropped())
		return true;
	complete_checksum(head, packet, (size_t)got);
	/* A device that is full or down loses the packet, as any network does. */
	if (write(to, buffer, sizeof(*head) + (size_t)got) == -1 && errno == EBADF)
		fail("write");
	return true;
}

static void read_command(void)
{
	char line[64];
	ssize_t got = read(STDIN_FILENO, line, sizeof(line) - 1);

	if (got <= 0)
		exit(0);
	line[got] = '\0';
	if (strncmp(line, "hold", 4) == 0)
		will_hold = true;
	if (strncmp(line, "go", 2) == 0)
		will_hold = is_held = false;
}

int main(int argc, char **argv)
{
	struct pollfd wait[3] = {{.fd = STDIN_FILENO, .events = POLLIN}};

	if (argc < 3 || argc - 3 > DROPS_MAX) {
		fprintf(stderr, "usage: drop-bridge NEAR FAR [N ...]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 3; i < argc; i++)
		drops[drop_count++] = strtoul(argv[i], NULL, 10);
	for (int side = 0; side < 2; side++) {
		wait[1 + side].fd = open_tun(argv[1 + side]);
		wait[1 + side].events = POLLIN;
	}
	printf("ready\n");
	for (;;) {
		if (poll(wait, is_held ? 1 : 3, -1) == -1 && errno != EINTR)
			fail("poll");
		if (wait[0].revents != 0)
			read_command();
		/* Both ways in turn, a few packets each, so that neither waits for the other. */
		for (int i = 0; i < 16 && !is_held; i++) {
			bool near = pass_one(wait[1].fd, wait[2].fd, true);
			bool far = !is_held && pass_one(wait[2].fd, wait[1].fd, false);

			if (!near && !far)
				break;
		}
	}
}
