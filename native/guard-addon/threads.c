/* This thread's name in reports. Its alternate stack came with the addon (module.c). */
#include "door.h"

/* nameThread(name, role) */
static napi_value name_thread(napi_env env, napi_callback_info info)
{
	char name[32], role[32];
	int entered;

	if (!door_take(env, info, "ss", name, sizeof(name), role, sizeof(role)))
		return NULL;
	entered = mg_thread_enter(name, role);
	if (entered == 0)
		mg_thread_leave(); /* module.c entered before: this only names */
	return door_result(env, entered);
}

const struct door_function THREAD_FUNCTIONS[] = {
	{"nameThread", name_thread},
	{NULL, NULL},
};
