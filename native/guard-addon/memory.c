/* Guarded allocations, canaries and watchpoints. */
#include "door.h"

#include <stdlib.h>

/* Memory below a buffer, wrapped by it until it is freed. A buffer of V8 itself whose first and
   last page are closed is held: they must be open before the memory goes back. */
struct block {
	void *start;
	size_t bytes;
	bool is_freed;
	napi_ref held;
};

static void finalize(napi_env env, void *data, void *hint)
{
	(void)env;
	if (!((struct block *)hint)->is_freed)
		mg_free(data);
	free(hint);
}

/* alloc(bytes, align, label): an ArrayBuffer, freed when it is collected; or -errno */
static napi_value alloc(napi_env env, napi_callback_info info)
{
	struct block *block;
	double bytes, align;
	napi_value out;
	char label[64];

	if (!door_take(env, info, "nns", &bytes, &align, label))
		return NULL;
	block = calloc(1, sizeof(*block));
	if (block != NULL)
		block->start = mg_alloc((size_t)bytes, (int)(int64_t)align, label);
	if (block == NULL || block->start == NULL) {
		free(block);
		return door_result(env, -errno);
	}
	if (napi_create_external_arraybuffer(env, block->start, (size_t)bytes, finalize, block,
					     &out) != napi_ok) {
		finalize(env, block->start, block);
		return door_result(env, -EOPNOTSUPP);
	}
	napi_wrap(env, out, block, NULL, NULL, NULL);
	return out;
}

/* free(arrayBuffer): detaches it, and closes its memory; the number of broken canaries */
static napi_value free_buffer(napi_env env, napi_callback_info info)
{
	napi_value buffer;
	void *found;
	int result;

	if (!door_take(env, info, "v", &buffer))
		return NULL;
	if (napi_unwrap(env, buffer, &found) != napi_ok)
		return door_result(env, mg_fail(EALREADY, "this memory was freed before"));
	result = mg_free(((struct block *)found)->start);
	if (result < 0)
		return door_result(env, result);
	((struct block *)found)->is_freed = true;
	napi_remove_wrap(env, buffer, &found);
	napi_detach_arraybuffer(env, buffer);
	return door_result(env, result);
}

static void forget(void *raw)
{
	struct block *block = raw;

	mg_forget_in(block->start, block->bytes);
	free(block);
}

/* close(pages, offset, length, bytes, align, label): closes the first and the last of these whole
   pages; the offset of `bytes` bytes between them */
static napi_value close_ends(napi_env env, napi_callback_info info)
{
	struct block *block = NULL;
	double bytes, align;
	uint8_t *data, *map;
	napi_value pages;
	char label[64];
	size_t length;

	if (!door_take(env, info, "bnns", &map, &length, &bytes, &align, label) ||
	    !door_take(env, info, "v", &pages))
		return NULL;
	data = mg_alloc_in(map, length, (size_t)bytes, (size_t)align, label);
	if (data == NULL || (block = calloc(1, sizeof(*block))) == NULL)
		return door_result(env, -errno);
	block->start = map;
	block->bytes = length;
	napi_create_reference(env, pages, 1, &block->held);
	napi_wrap(env, pages, block, NULL, NULL, NULL);
	napi_add_env_cleanup_hook(env, forget, block);
	return door_result(env, (double)(data - map));
}

/* open(pages): all of them, and lets the buffer go */
static napi_value open_all(napi_env env, napi_callback_info info)
{
	napi_value pages;
	void *found;

	if (!door_take(env, info, "v", &pages))
		return NULL;
	if (napi_remove_wrap(env, pages, &found) != napi_ok)
		return door_result(env, mg_fail(EALREADY, "these pages are open"));
	napi_remove_env_cleanup_hook(env, forget, found);
	napi_delete_reference(env, ((struct block *)found)->held);
	forget(found);
	return door_result(env, 0);
}

/* check(view, offset, length, isFree): the number of broken canaries of the allocation that begins
   with the slice; isFree closes its data, between pages of close() */
static napi_value check(napi_env env, napi_callback_info info)
{
	uint8_t *data;
	size_t length;
	double is_free;

	if (!door_take(env, info, "bn", &data, &length, &is_free))
		return NULL;
	return door_result(env, is_free != 0 ? mg_free_in(data) : mg_check(data));
}

/* canary(bytes, offset, length, before, after, isNew, label): bytes beside the slice's inner part
   hold a pattern: writes it, or returns the number of broken sides */
static napi_value canary(napi_env env, napi_callback_info info)
{
	double before, after, is_new;
	struct mg_fence fence;
	uint8_t *data;
	size_t length;
	char label[64];

	if (!door_take(env, info, "bnnns", &data, &length, &before, &after, &is_new, label))
		return NULL;
	if (before + after > (double)length)
		return door_result(env, mg_fail(ERANGE, "the canaries are larger than the slice"));
	fence.data = (uint64_t)data + (uint64_t)before;
	fence.before = (uint64_t)before;
	fence.after = (uint64_t)after;
	fence.bytes = length - fence.before - fence.after;
	fence.label = label;
	return door_result(env, mg_fence(&fence, is_new != 0));
}

static void end_watch(void *id)
{
	mg_watch_end((int)(intptr_t)id);
}

/* watch(bytes, offset, length, reads, mode, label): its id. It ends with this environment. */
static napi_value watch(napi_env env, napi_callback_info info)
{
	struct mg_options options = {0};
	double reads, mode;
	uint8_t *data;
	size_t length;
	char label[64];
	int id;

	if (!door_take(env, info, "bnns", &data, &length, &reads, &mode, label))
		return NULL;
	options.label = label;
	options.mode = (enum mg_mode)(int64_t)mode;
	id = mg_watch(data, length, reads != 0, &options);
	if (id >= 0)
		napi_add_env_cleanup_hook(env, end_watch, (void *)(intptr_t)id);
	return door_result(env, id);
}

/* watchEnd(id) */
static napi_value watch_end(napi_env env, napi_callback_info info)
{
	double id;

	if (!door_take(env, info, "n", &id))
		return NULL;
	napi_remove_env_cleanup_hook(env, end_watch, (void *)(intptr_t)id);
	return door_result(env, mg_watch_end((int)(intptr_t)id));
}

const struct door_function MEMORY_FUNCTIONS[] = {
	{"alloc", alloc},
	{"free", free_buffer},
	{"close", close_ends},
	{"open", open_all},
	{"check", check},
	{"canary", canary},
	{"watch", watch},
	{"watchEnd", watch_end},
	{NULL, NULL},
};
