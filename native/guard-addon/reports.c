/* Reports for JavaScript: the JSON lines in the ring, and the file that they are appended to. */
#include "door.h"

#include <limits.h>

#define SEQ_MAX 9007199254740991.0

/* takeReport(bytes, offset, length, seq): bytes of the line; 0: not yet, -ENOENT: gone. */
static napi_value take_report(napi_env env, napi_callback_info info)
{
	napi_value args[4];
	uint8_t *data;
	size_t length;
	double seq;

	if (!door_args(env, info, args, 4) || !door_slice(env, args, &data, &length) ||
	    !door_number(env, args[3], "seq", SEQ_MAX, &seq))
		return NULL;
	return door_result(env, mg_report_take((uint64_t)seq, (char *)data, length));
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
	napi_value args[1];

	if (!door_args(env, info, args, 1) ||
	    !door_string(env, args[0], "path", path, sizeof(path)))
		return NULL;
	return door_result(env, mg_report_file(path[0] == 0 ? NULL : path));
}

const struct door_function REPORT_FUNCTIONS[] = {
	{"takeReport", take_report},
	{"lastReport", last_report},
	{"reportFile", report_file},
	{NULL, NULL},
};
