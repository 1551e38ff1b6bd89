/*
 * An addon with bugs: it writes where it is told, through pointers that Node.js gave it.
 */
#define NAPI_VERSION 9
#include <node_api.h>

#include <string.h>
#include <unistd.h>

static char source[8192], *kept;

/* args: view, number, number */
static void *arguments(napi_env env, napi_callback_info info, double *first, double *second)
{
	napi_value args[3];
	size_t count = 3;
	void *data = NULL;

	napi_get_cb_info(env, info, &count, args, NULL, NULL);
	napi_get_typedarray_info(env, args[0], NULL, NULL, &data, NULL, NULL);
	napi_get_value_double(env, args[1], first);
	napi_get_value_double(env, args[2], second);
	return data;
}

__attribute__((noinline)) static void scribble(char *data, size_t offset, char value)
{
	data[offset] = value; /* culprit: scribble */
}

/* write(view, offset, value) */
static napi_value write_byte(napi_env env, napi_callback_info info)
{
	double offset, value;
	char *data = arguments(env, info, &offset, &value);

	scribble(data, (size_t)offset, (char)value);
	return NULL;
}

/* keep(view): its address, for too long */
static napi_value keep(napi_env env, napi_callback_info info)
{
	double unused;

	kept = arguments(env, info, &unused, &unused);
	return NULL;
}

/* writeKept(view, offset, value): as write(), into what was kept */
static napi_value write_kept(napi_env env, napi_callback_info info)
{
	double offset, value;

	arguments(env, info, &offset, &value);
	scribble(kept, (size_t)offset, (char)value);
	return NULL;
}

/* copy(view, offset, bytes): memcpy of so many */
static napi_value copy_bytes(napi_env env, napi_callback_info info)
{
	double offset, bytes;
	char *data = arguments(env, info, &offset, &bytes);

	memset(source, 0x55, sizeof source);
	memcpy(data + (size_t)offset, source, (size_t)bytes); /* culprit: copy_bytes */
	return NULL;
}

/* store64(view, offset, value): eight bytes at once, at any address */
static napi_value store_64(napi_env env, napi_callback_info info)
{
	double offset, value;
	char *data = arguments(env, info, &offset, &value);

	memcpy(data + (size_t)offset, &value, sizeof value);
	return NULL;
}

/* readInto(view, offset, fd): read(2) of 100 bytes; its result */
static napi_value read_into(napi_env env, napi_callback_info info)
{
	double offset, fd;
	char *data = arguments(env, info, &offset, &fd);
	napi_value result;

	fd = (double)read((int)fd, data + (size_t)offset, 100); /* culprit: read_into */
	napi_create_int32(env, (int)fd, &result);
	return result;
}

NAPI_MODULE_INIT()
{
	static const struct { const char *name; napi_callback call; } all[] = {
		{ "write", write_byte }, { "copy", copy_bytes }, { "readInto", read_into },
		{ "keep", keep }, { "writeKept", write_kept },
		{ "store64", store_64 },
	};
	napi_value function;

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		napi_create_function(env, all[i].name, NAPI_AUTO_LENGTH, all[i].call, NULL,
				     &function);
		napi_set_named_property(env, exports, all[i].name, function);
	}
	return exports;
}
