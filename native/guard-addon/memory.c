/*
 * Guarded allocations, canaries and watchpoints. What an environment made ends with it: its regions
 * have it as their owner, its watches a cleanup hook, its allocations a finalizer.
 */
#include "door.h"

static struct mg_region *page_before(const void *data)
{
	return mg_region_at(((uint64_t)data & -MG_PAGE) - MG_PAGE);
}

/* The id tells whether this is still the allocation that it was: free() and others come before. */
static void finalize(napi_env env, void *data, void *id)
{
	(void)env;
	if (mg_region_of((int)(intptr_t)id) != NULL)
		mg_free(data);
}

/* alloc(bytes, align, label): an ArrayBuffer, freed when it is collected; or -errno */
static napi_value alloc(napi_env env, napi_callback_info info)
{
	uint64_t bytes;
	char label[64];
	napi_value out;
	void *data, *id;
	int align;

	if (!door_take(env, info, "nis", &bytes, &align, label, sizeof(label)))
		return NULL;
	data = mg_alloc(bytes, align, label);
	if (data == NULL)
		return door_result(env, -errno);
	id = (void *)(intptr_t)page_before(data)->id;
	if (napi_create_external_arraybuffer(env, data, bytes, finalize, id, &out) == napi_ok)
		return out;
	mg_free(data);
	return door_result(env, -EOPNOTSUPP);
}

/* free(arrayBuffer): closes its memory and detaches it; the number of broken canaries */
static napi_value free_buffer(napi_env env, napi_callback_info info)
{
	napi_value buffer;
	void *data = NULL;
	size_t length;
	int result;

	if (!door_take(env, info, "v", &buffer))
		return NULL;
	napi_get_arraybuffer_info(env, buffer, &data, &length);
	result = mg_free(data);
	if (result >= 0)
		napi_detach_arraybuffer(env, buffer);
	return door_result(env, result);
}

/* close(pages, offset, length, bytes, align, label): closes the first and the last of these whole
   pages; the offset of `bytes` bytes between them. The pages must live until they open. */
static napi_value close_ends(napi_env env, napi_callback_info info)
{
	uint8_t *data, *map;
	char label[64];
	size_t length;
	uint64_t bytes;
	int align;

	if (!door_take(env, info, "bnis", &map, &length, &bytes, &align, label, sizeof(label)))
		return NULL;
	data = mg_alloc_in(map, length, bytes, (size_t)align, label);
	if (data == NULL)
		return door_result(env, -errno);
	door_own(mg_region_at((uint64_t)map)->id, env);
	door_own(mg_region_at((uint64_t)map + length - MG_PAGE)->id, env);
	return door_result(env, (double)(data - map));
}

/* check(view, offset, length, what): the number of broken canaries of the allocation that begins
   with the slice. What: 1 closes its data, between pages of close(); 2 opens these pages again, the
   slice is all of them. */
static napi_value check(napi_env env, napi_callback_info info)
{
	uint8_t *data;
	size_t length;
	int what, result = 0;

	if (!door_take(env, info, "bi", &data, &length, &what))
		return NULL;
	if (what == 2)
		mg_forget_in(data, length);
	else
		result = what == 1 ? mg_free_in(data) : mg_check(data);
	if (what == 1 && result >= 0)
		door_own(mg_region_at((uint64_t)data)->id, env);
	return door_result(env, result);
}

/* canary(bytes, offset, length, before, after, isNew, label): bytes beside the slice's inner part
   hold a pattern: writes it, or returns the number of broken sides */
static napi_value canary(napi_env env, napi_callback_info info)
{
	struct mg_fence fence;
	uint8_t *data;
	size_t length;
	char label[64];
	int is_new;

	if (!door_take(env, info, "bnnis", &data, &length, &fence.before, &fence.after, &is_new,
		       label, sizeof(label)))
		return NULL;
	if (fence.before + fence.after > length)
		return door_result(env, mg_fail(ERANGE, "the canaries are larger than the slice"));
	fence.data = (uint64_t)data + fence.before;
	fence.bytes = length - fence.before - fence.after;
	fence.label = label;
	return door_result(env, mg_fence(&fence, is_new));
}

static void end_watch(void *id)
{
	mg_watch_end((int)(intptr_t)id);
}

/* watch(bytes, offset, length, reads, mode, label): its id. It ends with this environment. */
static napi_value watch(napi_env env, napi_callback_info info)
{
	struct mg_options options = {0};
	int reads, mode, id;
	uint8_t *data;
	size_t length;
	char label[64];

	if (!door_take(env, info, "biis", &data, &length, &reads, &mode, label, sizeof(label)))
		return NULL;
	options.label = label;
	options.mode = (enum mg_mode)mode;
	id = mg_watch(data, length, reads, &options);
	if (id >= 0)
		napi_add_env_cleanup_hook(env, end_watch, (void *)(intptr_t)id);
	return door_result(env, id);
}

/* watchEnd(id) */
static napi_value watch_end(napi_env env, napi_callback_info info)
{
	int id;

	if (!door_take(env, info, "i", &id))
		return NULL;
	napi_remove_env_cleanup_hook(env, end_watch, (void *)(intptr_t)id);
	return door_result(env, mg_watch_end(id));
}

const struct door_function MEMORY_FUNCTIONS[] = {
	{"alloc", alloc},
	{"free", free_buffer},
	{"close", close_ends},
	{"check", check},
	{"canary", canary},
	{"watch", watch},
	{"watchEnd", watch_end},
	{NULL, NULL},
};
