/*
 * The addon's door: puts the functions of every file on `exports`, and the names of the socket
 * options as `socketOptionNames`. Holds no state, so any number of workers may load it.
 */
#include "millrace.h"

static napi_status export_functions(napi_env env, napi_value exports,
				    const struct native_function *list)
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

static napi_status export_option_names(napi_env env, napi_value exports)
{
	napi_value names, name;
	napi_status status = napi_create_array(env, &names);

	for (uint32_t i = 0; status == napi_ok && socket_option_name(i) != NULL; i++) {
		status = napi_create_string_utf8(env, socket_option_name(i), NAPI_AUTO_LENGTH,
						 &name);
		if (status == napi_ok)
			status = napi_set_element(env, names, i, name);
	}
	if (status == napi_ok)
		status = napi_set_named_property(env, exports, "socketOptionNames", names);
	return status;
}

NAPI_MODULE_INIT()
{
	if (export_calls(env, exports) != napi_ok ||
	    export_functions(env, exports, EPOLL_FUNCTIONS) != napi_ok ||
	    export_functions(env, exports, SOCKET_FUNCTIONS) != napi_ok ||
	    export_functions(env, exports, FILE_FUNCTIONS) != napi_ok ||
	    export_functions(env, exports, PIPE_FUNCTIONS) != napi_ok ||
	    export_functions(env, exports, PROCESS_FUNCTIONS) != napi_ok ||
	    export_option_names(env, exports) != napi_ok)
		napi_throw_error(env, NULL, "the addon could not export its functions");
	return exports;
}
