/*
 * Sockets, as far as a result is more than a number (the rest are rows of calls.c).
 *
 * Every socket is made non-blocking and close-on-exec. A peer is 18 bytes: 16 of the address, IPv4
 * as ::ffff:a.b.c.d (RFC 4291 2.5.5.2), and the port, big endian; zeros for a UNIX socket. Options
 * come from a closed list, named by index.
 */
#include "millrace.h"

#include <time.h>

#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define ADDRESS_BYTES 16
#define PEER_BYTES 18
#define RANGES_MAX 64
#define NOTICES_MAX 256

static const uint8_t MAPPED_PREFIX[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static const struct {
	const char *name;
	int level;
	int option;
} OPTIONS[] = {
	{"reuseAddress", SOL_SOCKET, SO_REUSEADDR},
	{"receiveBufferBytes", SOL_SOCKET, SO_RCVBUF},
	{"sendBufferBytes", SOL_SOCKET, SO_SNDBUF},
	{"receiveLowWaterBytes", SOL_SOCKET, SO_RCVLOWAT},
	{"keepAlive", SOL_SOCKET, SO_KEEPALIVE},
	{"keepAliveIdleSeconds", IPPROTO_TCP, TCP_KEEPIDLE},
	{"keepAliveIntervalSeconds", IPPROTO_TCP, TCP_KEEPINTVL},
	{"keepAliveCount", IPPROTO_TCP, TCP_KEEPCNT},
	{"noDelay", IPPROTO_TCP, TCP_NODELAY},
	{"userTimeoutMs", IPPROTO_TCP, TCP_USER_TIMEOUT},
	{"ipv6Only", IPPROTO_IPV6, IPV6_V6ONLY},
	{"pendingError", SOL_SOCKET, SO_ERROR},
	{"zeroCopy", SOL_SOCKET, SO_ZEROCOPY},
	{"domain", SOL_SOCKET, SO_DOMAIN},
	{"type", SOL_SOCKET, SO_TYPE},
	{"protocol", SOL_SOCKET, SO_PROTOCOL},
	{"mark", SOL_SOCKET, SO_MARK},
	{"boundDevice", SOL_SOCKET, SO_BINDTOIFINDEX},
};

#define OPTION_COUNT ((int)(sizeof(OPTIONS) / sizeof(OPTIONS[0])))

const char *socket_option_name(size_t index)
{
	return index < (size_t)OPTION_COUNT ? OPTIONS[index].name : NULL;
}

static void write_peer(const struct sockaddr_storage *from, uint8_t *peer)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;

	memset(peer, 0, PEER_BYTES);
	if (from->ss_family == AF_INET) {
		memcpy(peer, MAPPED_PREFIX, sizeof(MAPPED_PREFIX));
		memcpy(peer + 12, &v4->sin_addr, 4);
		memcpy(peer + ADDRESS_BYTES, &v4->sin_port, 2);
	} else if (from->ss_family == AF_INET6) {
		memcpy(peer, &v6->sin6_addr, ADDRESS_BYTES);
		memcpy(peer + ADDRESS_BYTES, &v6->sin6_port, 2);
	}
}

/* accept4(fd, peer, offset): the new fd; the peer's 18 bytes are written */
static napi_value socket_accept(napi_env env, napi_callback_info info)
{
	struct sockaddr_storage from = {0};
	socklen_t length = sizeof(from);
	napi_value args[3];
	int fd, accepted;
	uint8_t *peer;

	if (!read_args(env, info, args, 3) || !arg_fd(env, args[0], &fd) ||
	    !arg_room(env, args + 1, PEER_BYTES, &peer))
		return NULL;
	accepted = RETRY(accept4(fd, (struct sockaddr *)&from, &length,
				 SOCK_NONBLOCK | SOCK_CLOEXEC));
	if (accepted >= 0)
		write_peer(&from, peer);
	return result(env, accepted);
}

/* sendRanges(fd, flags, array, offset, length, Int32Array of [offset, length], count) */
static napi_value socket_send_ranges(napi_env env, napi_callback_info info)
{
	struct iovec ranges[RANGES_MAX];
	struct msghdr message = {.msg_iov = ranges};
	int fd, flags, count;
	napi_value args[7];
	int32_t *pairs;
	uint8_t *data;
	size_t length;

	if (!read_args(env, info, args, 7) || !arg_fd(env, args[0], &fd) ||
	    !arg_int(env, args[1], "flags", 0, INT32_MAX, &flags) ||
	    !arg_slice(env, args + 2, &data, &length) ||
	    !arg_words(env, args + 5, 2, RANGES_MAX, &pairs, &count))
		return NULL;
	for (int i = 0; i < count; i++) {
		/* Read once: the array may be shared with a thread that changes it. */
		int64_t start = __atomic_load_n(&pairs[2 * i], __ATOMIC_RELAXED);
		int64_t bytes = __atomic_load_n(&pairs[2 * i + 1], __ATOMIC_RELAXED);

		if (start < 0 || bytes < 0 || start + bytes > (int64_t)length)
			return result_number(env, -EFAULT);
		ranges[i] = (struct iovec){.iov_base = data + start, .iov_len = (size_t)bytes};
	}
	message.msg_iovlen = (size_t)count;
	return result(env, RETRY(sendmsg(fd, &message, flags | MSG_DONTWAIT | MSG_NOSIGNAL)));
}

/* One notice of the error queue as [code, low, high]; 0, or -errno when there is none. */
static int read_notice(int fd, int32_t *triple)
{
	_Alignas(struct cmsghdr) char
		control[CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in6))];
	struct msghdr message = {.msg_control = control, .msg_controllen = sizeof(control)};
	struct sock_extended_err notice = {0};

	if (RETRY(recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT)) == -1)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c))
		if (c->cmsg_len >= CMSG_LEN(sizeof(notice)) &&
		    ((c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
		     (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR)))
			memcpy(&notice, CMSG_DATA(c), sizeof(notice));
	if (notice.ee_origin == SO_EE_ORIGIN_ZEROCOPY) {
		triple[0] = notice.ee_code;
		triple[1] = (int32_t)notice.ee_info;
		triple[2] = (int32_t)notice.ee_data;
	} else {
		/* Without an errno it was cut short: never a notice of call 0. */
		triple[0] = notice.ee_errno == 0 ? -EBADMSG : -(int32_t)notice.ee_errno;
		triple[1] = triple[2] = 0;
	}
	return 0;
}

/* receiveNotifications(fd, Int32Array of [code, low, high], count): how many were there */
static napi_value socket_notices(napi_env env, napi_callback_info info)
{
	int fd, count, found = 0, error = 0;
	napi_value args[3];
	int32_t *triples;

	if (!read_args(env, info, args, 3) || !arg_fd(env, args[0], &fd) ||
	    !arg_words(env, args + 1, 3, NOTICES_MAX, &triples, &count))
		return NULL;
	while (found < count && (error = read_notice(fd, &triples[3 * found])) == 0)
		found++;
	return result_number(env, found > 0 ? found : error);
}

/* setsockopt(fd, option, value) */
static napi_value socket_set_option(napi_env env, napi_callback_info info)
{
	int fd, option, value;
	napi_value args[3];

	if (!read_args(env, info, args, 3) || !arg_fd(env, args[0], &fd) ||
	    !arg_int(env, args[1], "option", 0, OPTION_COUNT - 1, &option) ||
	    !arg_int(env, args[2], "value", 0, INT32_MAX, &value))
		return NULL;
	return result(env, setsockopt(fd, OPTIONS[option].level, OPTIONS[option].option, &value,
				      sizeof(value)));
}

/* getsockopt(fd, option) */
static napi_value socket_get_option(napi_env env, napi_callback_info info)
{
	socklen_t length = sizeof(int);
	napi_value args[2];
	int fd, option, value = 0;

	if (!read_args(env, info, args, 2) || !arg_fd(env, args[0], &fd) ||
	    !arg_int(env, args[1], "option", 0, OPTION_COUNT - 1, &option))
		return NULL;
	if (getsockopt(fd, OPTIONS[option].level, OPTIONS[option].option, &value, &length) == -1)
		return result(env, -1);
	return result_number(env, value);
}

/* getsockoptBytes(fd, level, option, array, offset, length): how many bytes were written */
static napi_value socket_option_bytes(napi_env env, napi_callback_info info)
{
	int fd, level, option;
	napi_value args[6];
	uint8_t *data;
	size_t length;
	socklen_t size;

	if (!read_args(env, info, args, 6) || !arg_fd(env, args[0], &fd) ||
	    !arg_int(env, args[1], "level", 0, 65535, &level) ||
	    !arg_int(env, args[2], "option", 0, 65535, &option) ||
	    !arg_slice(env, args + 3, &data, &length))
		return NULL;
	size = length > INT32_MAX ? INT32_MAX : (socklen_t)length;
	if (getsockopt(fd, level, option, data, &size) == -1)
		return result(env, -1);
	return result_number(env, size);
}

/* socketQueue(fd, which 0 unread | 1 unacknowledged | 2 unsent): bytes */
static napi_value socket_queue(napi_env env, napi_callback_info info)
{
	static const unsigned long REQUESTS[] = {FIONREAD, SIOCOUTQ, SIOCOUTQNSD};
	int fd, which, bytes = 0;
	napi_value args[2];

	if (!read_args(env, info, args, 2) || !arg_fd(env, args[0], &fd) ||
	    !arg_int(env, args[1], "which", 0, 2, &which))
		return NULL;
	return result(env, ioctl(fd, REQUESTS[which], &bytes) == -1 ? -1 : bytes);
}

/* socketName(fd, which 0 local | 1 peer, array, offset): bytes of the address */
static napi_value socket_name(napi_env env, napi_callback_info info)
{
	socklen_t length = sizeof(struct sockaddr_storage);
	struct sockaddr_storage address = {0};
	napi_value args[4];
	uint8_t *out;
	int fd, which, failed;

	if (!read_args(env, info, args, 4) || !arg_fd(env, args[0], &fd) ||
	    !arg_int(env, args[1], "which", 0, 1, &which) ||
	    !arg_room(env, args + 2, sizeof(address), &out))
		return NULL;
	failed = which == 0 ? getsockname(fd, (struct sockaddr *)&address, &length)
			    : getpeername(fd, (struct sockaddr *)&address, &length);
	if (failed == -1)
		return result(env, -1);
	memcpy(out, &address, sizeof(address));
	return result_number(env, length);
}

/* socketPair(Int32Array, 2): two ends of a UNIX stream */
static napi_value socket_pair(napi_env env, napi_callback_info info)
{
	napi_value args[2];
	int32_t *ends;
	int fds[2], count;

	if (!read_args(env, info, args, 2) || !arg_words(env, args, 1, 2, &ends, &count))
		return NULL;
	if (count < 2)
		return result_number(env, -EINVAL);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == -1)
		return result(env, -1);
	ends[0] = fds[0];
	ends[1] = fds[1];
	return result_number(env, 0);
}

const struct native_function SOCKET_FUNCTIONS[] = {
	{"accept4", socket_accept},
	{"sendRanges", socket_send_ranges},
	{"receiveNotifications", socket_notices},
	{"setsockopt", socket_set_option},
	{"getsockopt", socket_get_option},
	{"getsockoptBytes", socket_option_bytes},
	{"socketQueue", socket_queue},
	{"socketName", socket_name},
	{"socketPair", socket_pair},
	{NULL, NULL},
};
