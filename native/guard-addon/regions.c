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

static void set_owner(int id, napi_env env)
{
	unsigned slot = (unsigned)id % MG_REGIONS_MAX;

	owners[slot].id = id;
	atomic_store(&owners[slot].env, env);
}

void door_end_regions(napi_env env)
{
	for (size_t i = 0; i < MG_REGIONS_MAX; i++)
		if (atomic_load(&owners[i].env) == env) {
			set_owner(owners[i].id, NULL);
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
	double *out, flags;
	napi_value args[8];
	uint8_t *data;
	size_t length;
	int mode, id;

	if (!door_args(env, info, args, 8) || !door_slice(env, args, &data, &length) ||
	    !door_string(env, args[3], "label", label, sizeof(label)) ||
	    !door_int(env, args[4], "mode", MG_THROW, &mode) ||
	    !door_number(env, args[5], "flags", FLAGS_MAX, &flags) ||
	    !door_string(env, args[6], "allow", allow, sizeof(allow)) ||
	    !door_doubles(env, args[7], 2, &out))
		return NULL;
	options.mode = (enum mg_mode)mode;
	options.flags = (unsigned)flags;
	options.allow = allow[0] == 0 ? NULL : allow;
	id = mg_region(data, length, &options, &extent);
	out[0] = (double)extent.offset;
	out[1] = (double)extent.bytes;
	if (id > 0)
		set_owner(id, env);
	return door_result(env, id);
}

/* protect(id, offset, bytes, generation) */
static napi_value protect(napi_env env, napi_callback_info info)
{
	double offset, bytes, generation;
	napi_value args[4];
	int id;

	if (!door_args(env, info, args, 4) || !door_int(env, args[0], "id", INT32_MAX, &id) ||
	    !door_number(env, args[1], "offset", NUMBER_MAX, &offset) ||
	    !door_number(env, args[2], "bytes", NUMBER_MAX, &bytes) ||
	    !door_number(env, args[3], "generation", UINT32_MAX, &generation))
		return NULL;
	return door_result(env, mg_protect(id, (size_t)offset, (size_t)bytes,
					   (uint32_t)generation));
}

/* unprotect(id, offset, bytes) */
static napi_value unprotect(napi_env env, napi_callback_info info)
{
	double offset, bytes;
	napi_value args[3];
	int id;

	if (!door_args(env, info, args, 3) || !door_int(env, args[0], "id", INT32_MAX, &id) ||
	    !door_number(env, args[1], "offset", NUMBER_MAX, &offset) ||
	    !door_number(env, args[2], "bytes", NUMBER_MAX, &bytes))
		return NULL;
	return door_result(env, mg_unprotect(id, (size_t)offset, (size_t)bytes));
}

/* regionEnd(id) */
static napi_value region_end(napi_env env, napi_callback_info info)
{
	napi_value args[1];
	int id;

	if (!door_args(env, info, args, 1) || !door_int(env, args[0], "id", INT32_MAX, &id))
		return NULL;
	if (mg_region_of(id) != NULL)
		set_owner(id, NULL);
	return door_result(env, mg_region_end(id));
}

/* regionCounts(id, counts): counts receives the faults reported and the writes allowed */
static napi_value region_counts(napi_env env, napi_callback_info info)
{
	const struct mg_region *found;
	napi_value args[2];
	double *out;
	int id;

	if (!door_args(env, info, args, 2) || !door_int(env, args[0], "id", INT32_MAX, &id) ||
	    !door_doubles(env, args[1], 2, &out))
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
