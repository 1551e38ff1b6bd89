/*
 * TCP sockets: every socket is made non-blocking and close-on-exec.
 *
 * An address is 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2); a peer is 18 bytes: the
 * address and the port, big endian. Options come from a closed list, named by index.
 */
#include "millrace.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESS_BYTES 16
#define PEER_BYTES 18

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
};

#define OPTION_COUNT ((int)(sizeof(OPTIONS) / sizeof(OPTIONS[0])))

const char *socket_option_name(size_t index)
{
	return index < (size_t)OPTION_COUNT ? OPTIONS[index].name : NULL;
}

/* socketCreate(family 4 | 6) */
static napi_value socket_create(napi_env env, napi_callback_info info)
{
	const int flags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	napi_value args[1];
	int family;

	if (!read_args(env, info, args, 1) || !arg_int(env, args[0], "family", 4, 6, &family))
		return NULL;
	if (family == 5)
		return result_number(env, -EAFNOSUPPORT);
	return result(env, socket(family == 4 ? AF_INET : AF_INET6, flags, 0));
}

/* bind(2) and connect(2) take the same arguments */
typedef int (*address_call)(int fd, const struct sockaddr *address, socklen_t length);

static napi_value with_address(napi_env env, napi_callback_info info, address_call call)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	int fd, family, port, scope;
	napi_value args[6];
	uint8_t *address;

	if (!read_args(env, info, args, 6) || !arg_fd(env, args[0], &fd) ||
	    !arg_int(env, args[1], "family", 4, 6, &family) ||
	    !arg_room(env, args + 2, ADDRESS_BYTES, &address) ||
	    !arg_int(env, args[4], "port", 0, UINT16_MAX, &port) ||
	    !arg_int(env, args[5], "scopeId", 0, INT32_MAX, &scope))
		return NULL;
	if (family == 4) {
		if (memcmp(address, MAPPED_PREFIX, sizeof(MAPPED_PREFIX)) != 0)
			return result_number(env, -EAFNOSUPPORT);
		memcpy(&v4.sin_addr, address + 12, 4);
		v4.sin_port = htons((uint16_t)port);
		return result(env, call(fd, (struct sockaddr *)&v4, sizeof(v4)));
	}
	memcpy(&v6.sin6_addr, address, ADDRESS_BYTES);
	v6.sin6_port = htons((uint16_t)port);
	v6.sin6_scope_id = (uint32_t)scope;
	return result(env, call(fd, (struct sockaddr *)&v6, sizeof(v6)));
}

/* bind(fd, family, address, offset, port, scopeId) */
static napi_value socket_bind(napi_env env, napi_callback_info info)
{
	return with_address(env, info, bind);
}

/* connect(fd, family, address, offset, port, scopeId) */
static napi_value socket_connect(napi_env env, napi_callback_info info)
{
	return with_address(env, info, connect);
}

/* listen(fd, backlog) */
static napi_value socket_listen(napi_env env, napi_callback_info info)
{
	napi_value args[2];
	int fd, backlog;

	if (!read_args(env, info, args, 2) || !arg_fd(env, args[0], &fd) ||
	    !arg_int(env, args[1], "backlog", 0, INT32_MAX, &backlog))
		return NULL;
	return result(env, listen(fd, backlog));
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

/* recv(fd, array, offset, length): bytes received, 0 at the end of the stream */
static napi_value socket_recv(napi_env env, napi_callback_info info)
{
	napi_value args[4];
	uint8_t *data;
	size_t length;
	int fd;

	if (!read_args(env, info, args, 4) || !arg_fd(env, args[0], &fd) ||
	    !arg_slice(env, args + 1, &data, &length))
		return NULL;
	return result(env, RETRY(recv(fd, data, length, MSG_DONTWAIT)));
}

/* send(fd, array, offset, length): bytes taken by the kernel */
static napi_value socket_send(napi_env env, napi_callback_info info)
{
	napi_value args[4];
	uint8_t *data;
	size_t length;
	int fd;

	if (!read_args(env, info, args, 4) || !arg_fd(env, args[0], &fd) ||
	    !arg_slice(env, args + 1, &data, &length))
		return NULL;
	return result(env, RETRY(send(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL)));
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

/* bytesUnread(fd): what the kernel holds for the reader (FIONREAD) */
static napi_value socket_unread(napi_env env, napi_callback_info info)
{
	napi_value args[1];
	int fd, bytes = 0;

	if (!read_args(env, info, args, 1) || !arg_fd(env, args[0], &fd))
		return NULL;
	return result(env, ioctl(fd, FIONREAD, &bytes) == -1 ? -1 : bytes);
}

/* localPort(fd): getsockname's port */
static napi_value socket_local_port(napi_env env, napi_callback_info info)
{
	struct sockaddr_storage local = {0};
	socklen_t length = sizeof(local);
	uint8_t peer[PEER_BYTES];
	napi_value args[1];
	int fd;

	if (!read_args(env, info, args, 1) || !arg_fd(env, args[0], &fd))
		return NULL;
	if (getsockname(fd, (struct sockaddr *)&local, &length) == -1)
		return result(env, -1);
	write_peer(&local, peer);
	return result(env, peer[ADDRESS_BYTES] << 8 | peer[ADDRESS_BYTES + 1]);
}

/* shutdown(fd, how 0 read | 1 write | 2 both) */
static napi_value socket_shutdown(napi_env env, napi_callback_info info)
{
	napi_value args[2];
	int fd, how;

	if (!read_args(env, info, args, 2) || !arg_fd(env, args[0], &fd) ||
	    !arg_int(env, args[1], "how", SHUT_RD, SHUT_RDWR, &how))
		return NULL;
	return result(env, shutdown(fd, how));
}

const struct native_function SOCKET_FUNCTIONS[] = {
	{"socketCreate", socket_create},
	{"bind", socket_bind},
	{"connect", socket_connect},
	{"listen", socket_listen},
	{"accept4", socket_accept},
	{"recv", socket_recv},
	{"send", socket_send},
	{"setsockopt", socket_set_option},
	{"getsockopt", socket_get_option},
	{"bytesUnread", socket_unread},
	{"localPort", socket_local_port},
	{"shutdown", socket_shutdown},
	{NULL, NULL},
};
