/* JavaScript frames as v8.c sees them, for the calibration at start-up and for tests. */
#include "door.h"

#include <stdlib.h>

/* captureStack(isFault): [function, file, line, column, kind, notes] of the caller's frames, or of
   those of this thread's last fault; innermost first */
static napi_value capture_stack(napi_env env, napi_callback_info info)
{
	struct mg_frame *frames = calloc(MG_FRAMES_MAX, sizeof(*frames));
	uint64_t fp = (uint64_t)__builtin_frame_address(0), link[2];
	struct mg_thread *self = mg_thread_self();
	napi_value out = NULL, row, value;
	uint32_t count = 0;
	int is_fault;

	if (!door_take(env, info, "i", &is_fault)) {
		free(frames);
		return NULL;
	}
	if (is_fault && frames != NULL && self != NULL) {
		count = self->event.frame_count;
		memcpy(frames, self->event.frames, sizeof(self->event.frames));
	}
	while (!is_fault && frames != NULL && count < MG_FRAMES_MAX && mg_read(fp, link, sizeof(link)) &&
	       link[0] > fp) {
		fp = link[0];
		count += mg_v8_frames(link[1], fp, NULL, frames + count, MG_FRAMES_MAX - count);
	}
	napi_create_array(env, &out);
	for (uint32_t i = 0; i < count && napi_create_array(env, &row) == napi_ok; i++) {
		const char *const texts[] = {frames[i].function, frames[i].file};
		const uint32_t numbers[] = {frames[i].line, frames[i].column, frames[i].kind,
					    frames[i].notes};

		for (uint32_t n = 0; n < 6; n++)
			if ((n < 2 ? napi_create_string_utf8(env, texts[n], NAPI_AUTO_LENGTH, &value) :
				     napi_create_uint32(env, numbers[n - 2], &value)) == napi_ok)
				napi_set_element(env, row, n, value);
		napi_set_element(env, out, i, row);
	}
	free(frames);
	return out;
}

/* tryV8(variant) -> 1: V8's heap is read in that way from now on, 0: there is no such way */
static napi_value try_v8(napi_env env, napi_callback_info info)
{
	int variant;

	return door_take(env, info, "i", &variant) ?
	       door_result(env, mg_v8_try((unsigned)variant)) : NULL;
}

const struct door_function V8_FUNCTIONS[] = {
	{"captureStack", capture_stack},
	{"tryV8", try_v8},
	{NULL, NULL},
};
