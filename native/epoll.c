/* epoll and eventfd: how a collecting thread waits, and how another thread wakes it. */
#include "millrace.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EPOLL_WAIT_EVENTS_MAX 256

/* epollControl(epollFd, operation 1 add | 2 del | 3 mod, fd, events, data) */
static napi_value epoll_control(napi_env env, napi_callback_info info)
{
	struct epoll_event event = {0};
	int epoll_fd, operation, fd, data;
	napi_value args[5];
	double events;

	if (!read_args(env, info, args, 5) || !arg_fd(env, args[0], &epoll_fd) ||
	    !arg_int(env, args[1], "operation", EPOLL_CTL_ADD, EPOLL_CTL_MOD, &operation) ||
	    !arg_fd(env, args[2], &fd) ||
	    !arg_number(env, args[3], "events", 0, UINT32_MAX, &events) ||
	    !arg_int(env, args[4], "data", 0, INT32_MAX, &data))
		return NULL;
	event.events = (uint32_t)events;
	event.data.u64 = (uint64_t)data;
	return result(env, epoll_ctl(epoll_fd, operation, fd, &event));
}

/* epollWait(epollFd, Int32Array of [data, events] pairs, count of pairs, timeoutMs) */
static napi_value epoll_wait_call(napi_env env, napi_callback_info info)
{
	struct epoll_event events[EPOLL_WAIT_EVENTS_MAX];
	int epoll_fd, count, timeout_ms, ready;
	napi_value args[4];
	int32_t *pairs;

	if (!read_args(env, info, args, 4) || !arg_fd(env, args[0], &epoll_fd) ||
	    !arg_words(env, args + 1, 2, EPOLL_WAIT_EVENTS_MAX, &pairs, &count) ||
	    !arg_int(env, args[3], "timeoutMs", -1, INT32_MAX, &timeout_ms))
		return NULL;
	ready = epoll_wait(epoll_fd, events, count, timeout_ms);
	for (int i = 0; i < ready; i++) {
		pairs[2 * i] = (int32_t)events[i].data.u64;
		pairs[2 * i + 1] = (int32_t)events[i].events;
	}
	return result(env, ready);
}

/* eventfdSignal(fd): adds 1 */
static napi_value eventfd_signal(napi_env env, napi_callback_info info)
{
	const uint64_t one = 1;
	napi_value args[1];
	int fd;

	if (!read_args(env, info, args, 1) || !arg_fd(env, args[0], &fd))
		return NULL;
	return result(env, RETRY(write(fd, &one, sizeof(one))) == -1 ? -1 : 0);
}

/* eventfdClear(fd): the number of signals since the last clear */
static napi_value eventfd_clear(napi_env env, napi_callback_info info)
{
	napi_value args[1];
	uint64_t count = 0;
	int fd;

	if (!read_args(env, info, args, 1) || !arg_fd(env, args[0], &fd))
		return NULL;
	if (RETRY(read(fd, &count, sizeof(count))) == -1)
		return result(env, -1);
	return result_number(env, (double)count);
}

const struct native_function EPOLL_FUNCTIONS[] = {
	{"epollControl", epoll_control},
	{"epollWait", epoll_wait_call},
	{"eventfdSignal", eventfd_signal},
	{"eventfdClear", eventfd_clear},
	{NULL, NULL},
};
