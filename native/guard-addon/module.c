/*
 * The guard's door to Node.js: what native/guard offers, as functions of an addon.
 */
#define NAPI_VERSION 9
#include <node_api.h>

#include "core.h"

NAPI_MODULE_INIT()
{
	(void)env;
	return exports;
}
