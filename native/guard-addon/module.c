/*
 * The guard's door to Node.js: what native/guard offers, as functions of an addon. Each thread that
 * loads it is given its slot and its alternate stack, until its environment ends.
 */
#include "door.h"

static const struct door_function *const LISTS[] = {
	REGION_FUNCTIONS,
	REPORT_FUNCTIONS,
	THREAD_FUNCTIONS,
	SEEN_FUNCTIONS,
	MEMORY_FUNCTIONS,
	V8_FUNCTIONS,
};

static void leave(void *env)
{
	door_end_regions(env);
	mg_thread_leave();
}

static napi_status export_list(napi_env env, napi_value exports, const struct door_function *list)
{
	napi_status status = napi_ok;
	napi_value function;

	for (; list->name != NULL && status == napi_ok; list++) {
		status = napi_create_function(env, list->name, NAPI_AUTO_LENGTH, list->call, NULL,
					      &function);
		if (status == napi_ok)
			status = napi_set_named_property(env, exports, list->name, function);
	}
	return status;
}

NAPI_MODULE_INIT()
{
	napi_status status = napi_ok;

	if (mg_start() < 0 || mg_thread_enter(NULL, NULL) < 0) {
		napi_throw_error(env, NULL, mg_problem());
		return exports;
	}
	napi_add_env_cleanup_hook(env, leave, env);
	for (size_t i = 0; i < sizeof(LISTS) / sizeof(LISTS[0]) && status == napi_ok; i++)
		status = export_list(env, exports, LISTS[i]);
	if (status != napi_ok)
		napi_throw_error(env, NULL, "the guard's addon could not export its functions");
	return exports;
}
