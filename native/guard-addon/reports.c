/* Reports for JavaScript: the JSON lines in the ring, and the file that they are appended to. */
#include "door.h"

#include <limits.h>

/* takeReport(bytes, offset, length, seq): bytes of the line; 0: not yet, -ENOENT: gone. */
static napi_value take_report(napi_env env, napi_callback_info info)
{
	uint8_t *data;
	size_t length;
	uint64_t seq;

	if (!door_take(env, info, "bn", &data, &length, &seq))
		return NULL;
	return door_result(env, mg_report_take(seq, (char *)data, length));
}

/* lastReport(): seq of the newest report; 0: none. */
static napi_value last_report(napi_env env, napi_callback_info info)
{
	(void)info;
	return door_result(env, (double)mg_report_last());
}

/* reportFile(path): '' for no more. */
static napi_value report_file(napi_env env, napi_callback_info info)
{
	char path[PATH_MAX];

	if (!door_take(env, info, "s", path, sizeof(path)))
		return NULL;
	return door_result(env, mg_report_file(path[0] == 0 ? NULL : path));
}

const struct door_function REPORT_FUNCTIONS[] = {
	{"takeReport", take_report},
	{"lastReport", last_report},
	{"reportFile", report_file},
	{NULL, NULL},
};
