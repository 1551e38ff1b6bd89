/*
 * Weak stand-ins for the parts of the guard that are not here yet; whoever adds a part deletes its
 * lines. When the last is gone, so is this file.
 */
#include "core.h"

#define PENDING __attribute__((weak))
PENDING int mg_alias_make(struct mg_region *region) { (void)region; return -ENOSYS; }
PENDING int mg_alias_end(struct mg_region *region) { (void)region; return 0; }
PENDING int mg_scratch_make(struct mg_region *region) { (void)region; return -ENOSYS; }
PENDING int mg_scratch_end(struct mg_region *region) { (void)region; return 0; }
PENDING int mg_v8_start(void) { return -ENOSYS; }
PENDING bool mg_v8_is_known(void) { return false; }
PENDING uint32_t mg_v8_frames(uint64_t pc, uint64_t fp, const greg_t *registers, struct mg_frame
	*frames, uint32_t max) { (void)pc; (void)fp; (void)registers; (void)frames; (void)max; return
	0; }
