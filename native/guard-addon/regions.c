/*
 * Regions: protect and unprotect pages that typed arrays lie in. A region ends with the environment
 * that made it: the memory of a worker is freed behind it, and is other memory the next moment.
 */
#include "door.h"

#include <stdatomic.h>

#define FLAGS_MAX (MG_ALIAS | MG_SYSCALLS | MG_NO_READ | MG_ONCE)

/* By slot of the id; an entry is written by the thread that has the slot, until its region ends. */
static struct {
	_Atomic(napi_env) env;
	int id;
} owners[MG_REGIONS_MAX];

void door_own(int id, napi_env env)
{
	unsigned slot = (unsigned)id % MG_REGIONS_MAX;

	owners[slot].id = id;
	atomic_store(&owners[slot].env, env);
}

void door_end_regions(napi_env env)
{
	for (size_t i = 0; i < MG_REGIONS_MAX; i++)
		if (atomic_load(&owners[i].env) == env) {
			door_own(owners[i].id, NULL);
			mg_region_end(owners[i].id);
		}
}

/* region(bytes, offset, length, label, mode, flags, allow, extent): its id. extent receives the
   offset of the whole pages from the slice's start, and their length. */
static napi_value region(napi_env env, napi_callback_info info)
{
	struct mg_extent extent = {0, 0};
	char label[64], allow[128];
	struct mg_options options = {.label = label};
	int mode, flags, id;
	uint8_t *data;
	size_t length;
	double *out;

	if (!door_take(env, info, "bsiisd", &data, &length, label, sizeof(label), &mode, &flags,
		       allow, sizeof(allow), &out, (size_t)2))
		return NULL;
	if (mode > MG_THROW || (flags & ~FLAGS_MAX) != 0)
		return door_result(env, mg_fail(EINVAL, "no such mode or flag"));
	options.mode = (enum mg_mode)mode;
	options.flags = (unsigned)flags;
	options.allow = allow[0] == 0 ? NULL : allow;
	id = mg_region(data, length, &options, &extent);
	out[0] = (double)extent.offset;
	out[1] = (double)extent.bytes;
	if (id > 0)
		door_own(id, env);
	return door_result(env, id);
}

/* protect(id, offset, bytes, generation) */
static napi_value protect(napi_env env, napi_callback_info info)
{
	uint64_t offset, bytes, generation;
	int id;

	if (!door_take(env, info, "innn", &id, &offset, &bytes, &generation))
		return NULL;
	return door_result(env, mg_protect(id, offset, bytes, (uint32_t)generation));
}

/* unprotect(id, offset, bytes) */
static napi_value unprotect(napi_env env, napi_callback_info info)
{
	uint64_t offset, bytes;
	int id;

	if (!door_take(env, info, "inn", &id, &offset, &bytes))
		return NULL;
	return door_result(env, mg_unprotect(id, offset, bytes));
}

/* regionEnd(id) */
static napi_value region_end(napi_env env, napi_callback_info info)
{
	int id;

	if (!door_take(env, info, "i", &id))
		return NULL;
	if (mg_region_of(id) != NULL)
		door_own(id, NULL);
	return door_result(env, mg_region_end(id));
}

/* regionCounts(id, counts): counts receives the faults reported and the writes allowed */
static napi_value region_counts(napi_env env, napi_callback_info info)
{
	const struct mg_region *found;
	double *out;
	int id;

	if (!door_take(env, info, "id", &id, &out, (size_t)2))
		return NULL;
	found = mg_region_of(id);
	if (found == NULL)
		return door_result(env, mg_fail(ENOENT, "there is no such region (any more)"));
	out[0] = (double)found->faults;
	out[1] = (double)found->allowed;
	return door_result(env, 0);
}

/* problem(): the sentence of this thread's last failure */
static napi_value problem(napi_env env, napi_callback_info info)
{
	napi_value out;

	(void)info;
	if (napi_create_string_utf8(env, mg_problem(), NAPI_AUTO_LENGTH, &out) != napi_ok)
		return NULL;
	return out;
}

const struct door_function REGION_FUNCTIONS[] = {
	{"region", region},
	{"protect", protect},
	{"unprotect", unprotect},
	{"regionEnd", region_end},
	{"regionCounts", region_counts},
	{"problem", problem},
	{NULL, NULL},
};
