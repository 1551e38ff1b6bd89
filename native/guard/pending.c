/*
 * Weak stand-ins for the parts of the guard that are not here yet; whoever adds a part deletes its
 * lines. When the last is gone, so is this file.
 */
#include "core.h"

#define PENDING __attribute__((weak))
PENDING bool mg_decode(const uint8_t *code, size_t available, struct mg_insn *insn) {
	(void)code; (void)available; memset(insn, 0, sizeof *insn); insn->base_reg = insn->value_reg =
	-1; return false; }
PENDING void mg_fill_bytes(struct mg_event *event, const ucontext_t *context) { (void)event;
	(void)context; }
PENDING bool mg_step_over(struct mg_thread *thread, struct mg_region *region, ucontext_t
	*context) { (void)thread; (void)region; (void)context; return false; }
PENDING bool mg_step_done(struct mg_thread *thread, ucontext_t *context) { (void)thread;
	(void)context; return false; }
PENDING int mg_alias_make(struct mg_region *region) { (void)region; return -ENOSYS; }
PENDING int mg_alias_end(struct mg_region *region) { (void)region; return 0; }
PENDING int mg_scratch_make(struct mg_region *region) { (void)region; return -ENOSYS; }
PENDING int mg_scratch_end(struct mg_region *region) { (void)region; return 0; }
PENDING int mg_v8_start(void) { return -ENOSYS; }
PENDING bool mg_v8_is_known(void) { return false; }
PENDING uint32_t mg_v8_frames(uint64_t pc, uint64_t fp, const greg_t *registers, struct mg_frame
	*frames, uint32_t max) { (void)pc; (void)fp; (void)registers; (void)frames; (void)max; return
	0; }
PENDING void mg_report_write(const struct mg_event *event) { (void)event; }
PENDING void mg_choose_culprit(struct mg_event *event) { event->culprit = event->frame_count; }
PENDING bool mg_is_allowed(const struct mg_event *event) { (void)event; return false; }
PENDING int mg_report_take(uint64_t seq, char *out, size_t bytes) { (void)seq; (void)out;
	(void)bytes; return 0; }
PENDING int mg_report_file(const char *path) { (void)path; return -ENOSYS; }
PENDING bool mg_watch_hit(struct mg_thread *thread, const siginfo_t *info, const ucontext_t
	*context) { (void)thread; (void)info; (void)context; return false; }
PENDING int mg_watch(void *address, size_t bytes, int reads_too, const struct mg_options
	*options) { (void)address; (void)bytes; (void)reads_too; (void)options; return -ENOSYS; }
PENDING int mg_watch_end(int watch) { (void)watch; return -ENOSYS; }
PENDING int mg_uffd_protect(struct mg_region *region, uint64_t start, uint64_t bytes, bool
	is_on) { (void)region; (void)start; (void)bytes; (void)is_on; return -ENOSYS; }
PENDING int mg_uffd_fd(void) { return -1; }
PENDING void mg_uffd_serve(void) { }
PENDING bool mg_uffd_signal(struct mg_thread *thread, const siginfo_t *info, ucontext_t
	*context) { (void)thread; (void)info; (void)context; return false; }
PENDING void *mg_alloc(size_t bytes, int align_end, const char *label) { (void)bytes;
	(void)align_end; (void)label; return NULL; }
PENDING int mg_free(void *memory) { (void)memory; return -ENOSYS; }
PENDING bool mg_read(uint64_t address, void *out, size_t bytes) { (void)address; (void)out;
	(void)bytes; return false; }
PENDING uint64_t mg_now_ns(bool is_realtime) { (void)is_realtime; return 0; }
PENDING int32_t mg_tid(void) { return 0; }
PENDING int mg_fail(int error, const char *problem) { (void)problem; return -error; }
PENDING const char *mg_problem(void) { return ""; }
PENDING struct mg_region *mg_region_at(uint64_t address) { (void)address; return NULL; }
PENDING struct mg_region *mg_region_of(int id) { (void)id; return NULL; }
PENDING int mg_region_make(uint64_t address, uint64_t bytes, enum mg_region_kind kind, const
	struct mg_options *options, struct mg_extent *extent) { (void)address; (void)bytes; (void)kind;
	(void)options; (void)extent; return -ENOSYS; }
PENDING int mg_set_state(struct mg_region *region, uint64_t first_page, uint64_t count, enum
	mg_page_state state, uint32_t generation) { (void)region; (void)first_page; (void)count;
	(void)state; (void)generation; return -ENOSYS; }
PENDING int mg_region(void *address, size_t bytes, const struct mg_options *options, struct
	mg_extent *extent) { (void)address; (void)bytes; (void)options; (void)extent; return -ENOSYS; }
PENDING int mg_protect(int region, size_t offset, size_t bytes, uint32_t generation) {
	(void)region; (void)offset; (void)bytes; (void)generation; return -ENOSYS; }
PENDING int mg_unprotect(int region, size_t offset, size_t bytes) { (void)region; (void)offset;
	(void)bytes; return -ENOSYS; }
PENDING int mg_region_end(int region) { (void)region; return -ENOSYS; }
PENDING struct mg_thread *mg_thread_self(void) { return NULL; }
PENDING struct mg_thread *mg_thread_slot(size_t index) { (void)index; return NULL; }
PENDING int mg_service_start(void) { return -ENOSYS; }
PENDING int mg_thread_enter(const char *name, const char *role) { (void)name; (void)role; return
	-ENOSYS; }
PENDING void mg_thread_leave(void) { }
PENDING void mg_report_event(struct mg_thread *thread, const ucontext_t *context) {
	(void)thread; (void)context; }
PENDING void mg_give_up(struct mg_thread *thread, const char *why) { (void)thread; (void)why;
	__builtin_trap(); }
PENDING int mg_start(void) { return -ENOSYS; }
