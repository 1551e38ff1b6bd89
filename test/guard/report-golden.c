/*
 * Events filled by hand, for the test of the report's text and JSON: report-golden CASE.
 * What report.c and culprit.c call of other parts stands here.
 */
#include "report.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct mg_event event;

bool mg_module(uint64_t pc, uint64_t *base, uint64_t *bias, uint64_t *eh_frame_hdr)
{
	(void)bias; (void)eh_frame_hdr;
	*base = pc & ~0xffffful;
	return true;
}

bool mg_v8_is_known(void) { return getenv("KNOWN") != NULL; }

#ifdef ENGINE /* as in a process with V8; its module begins at 0x500000 */
__asm__(".globl _ZN2v87Isolate10GetCurrentEv\n.set _ZN2v87Isolate10GetCurrentEv, 0x500010");
#endif

static struct mg_frame *frame(enum mg_frame_kind kind, const char *module, uint64_t pc,
			      const char *function, const char *file, uint32_t line,
			      uint32_t column, unsigned notes)
{
	struct mg_frame *one = &event.frames[event.frame_count++];

	*one = (struct mg_frame){ .kind = kind, .pc = pc, .line = line, .column = column,
				  .notes = notes };
	one->module_offset = module[0] ? pc & 0xfffff : 0;
	strcpy(one->module, module);
	strcpy(one->function, function);
	strcpy(one->file, file);
	return one;
}

static void native_stack(void)
{
	frame(MG_FRAME_NATIVE, "/lib/x86_64-linux-gnu/libc.so.6", 0x8000010, "memcpy", "", 0, 0, 0);
	frame(MG_FRAME_NATIVE, "/app/program", 0x400a5d, "scribble", "/app/program.c", 41, 0, 0);
	frame(MG_FRAME_NATIVE, "/app/program", 0x400b00, "main", "/app/program.c", 60, 0, 0);
}

static void javascript_stack(unsigned notes)
{
	frame(MG_FRAME_BUILTIN, "/bin/node", 0x500100, "Builtins_Fill", "", 0, 0, 0);
	frame(MG_FRAME_NATIVE, "/bin/node", 0x500200, "v8::Call", "", 0, 0, 0);
	frame(MG_FRAME_JS, "", 0x7700010, "write", "node:buffer", 9, 2, MG_NOTE_OPTIMIZED);
	frame(MG_FRAME_JS, "", 0x7700020, "scribble", "/app/app.js", 14, 12, notes);
	frame(MG_FRAME_JS, "", 0x7700030, "", "/app/app.js", 30, 1, MG_NOTE_INTERPRETED);
}

static void common(void)
{
	static const uint8_t code[] = { 0xc6, 0x04, 0x08, 0x2a };

	event = (struct mg_event){ .kind = MG_EVENT_WRITE, .seq = 1, .region = (void *)&event,
				   .region_id = 3,
				   .label = "records", .address = 0x14124, .offset = 0x5114,
				   .page_index = 4, .width = 4, .old_known = 4, .new_known = 4,
				   .tid = 4242, .thread_name = "decoder", .thread_role = "decode",
				   .pc = 0x7700020, .is_fatal = true, .end = "dies" };
	event.time_ns = 1798727045000000042ul; /* 2026-12-31 */
	event.history = (struct mg_history){ .generation = 12, .slice_first = 3, .slice_count = 4,
					     .protect_ns = event.time_ns - 1234567,
					     .unprotect_ns = event.time_ns - 65432109876ul,
					     .protect_tid = 4240, .unprotect_tid = 4242 };
	event.protector = "main";
	event.slice_offset = 0x1124;
	event.insn.length = 4;
	memcpy(event.code, code, sizeof code);
	event.new_bytes[0] = 0x2a;
}

static void take(uint64_t seq)
{
	static char text[MG_REPORT_BYTES];
	int length = mg_report_take(seq, text, sizeof text);

	printf("%.*s\n", length > 0 ? length : 0, text);
	if (length <= 0)
		printf("%d\n", length);
}

static void *flood(void *name)
{
	static _Atomic uint64_t seq;
	struct mg_event *own = malloc(sizeof *own);

	memcpy(own, &event, sizeof *own);
	strcpy(own->thread_name, name);
	for (int i = 0; i < 200; i++) {
		own->seq = ++seq;
		mg_report_write(own);
	}
	free(own);
	return NULL;
}

/* Two threads at once into one file; stderr is not read meanwhile. */
static int race(const char *path)
{
	pthread_t other;
	int null = open("/dev/null", O_WRONLY);

	common();
	native_stack();
	event.culprit = mg_culprit(event.frames, event.frame_count);
	dup2(null, 2);
	if (mg_report_open(path) != 0)
		return 1;
	pthread_create(&other, NULL, flood, "other");
	flood("one");
	pthread_join(other, NULL);
	take(400);
	take(337);
	take(336);
	take(401);
	return 0;
}

static void fill(const char *name)
{
	common();
	if (strcmp(name, "native") == 0) {
		native_stack();
	} else if (strcmp(name, "javascript") == 0) {
		javascript_stack(MG_NOTE_INTERPRETED);
	} else if (strcmp(name, "hidden") == 0) {
		javascript_stack(MG_NOTE_OPTIMIZED | MG_NOTE_FUNCTION_LINE | MG_NOTE_MAY_HIDE |
				 MG_NOTE_PERF_MAP);
	} else if (strcmp(name, "overrun") == 0) {
		native_stack();
		event.memory = MG_KIND_GUARD_AFTER;
		event.edge = 0x11000;
		event.address = 0x11002;
		event.width = 1;
		event.history.unprotect_ns = 0;
	} else if (strcmp(name, "underrun") == 0) {
		native_stack();
		event.memory = MG_KIND_GUARD_BEFORE;
		event.edge = 0x12000;
		event.address = 0x11fff;
		event.kind = MG_EVENT_READ;
		event.width = 0;
		event.history.unprotect_ns = 0;
	} else if (strcmp(name, "freed") == 0) {
		native_stack();
		event.memory = MG_KIND_FREED;
		event.history.unprotect_ns = 0;
	} else if (strcmp(name, "syscall") == 0) {
		native_stack();
		event.kind = MG_EVENT_SYSCALL;
		event.syscall_args[0] = 5;
		event.width = 0;
		event.new_known = event.old_known = 0;
	} else if (strcmp(name, "canary") == 0) {
		event.kind = MG_EVENT_CANARY;
		native_stack();
	} else if (strcmp(name, "watch") == 0) {
		event.kind = MG_EVENT_WATCH;
		event.region = NULL;
		event.label = "";
		event.new_known = 0;
	} else if (strcmp(name, "hostile") == 0) {
		event.label = "a\"b\\c\nd\x1b[1m\xff\xc3\xa4\xe2\x82\xac\xed\xa0\x80\xf0\x9f\x90\x9e\xc2\x9b";
		native_stack();
		memset(event.frames[1].function, 0xff, sizeof event.frames[1].function - 1);
		memset(event.frames[1].file, '"', sizeof event.frames[1].file - 1);
	} else if (strcmp(name, "long") == 0) {
		for (int i = 0; i < MG_FRAMES_MAX; i++) {
			struct mg_frame *one = frame(MG_FRAME_NATIVE, "/app/program", 0x400000,
						     "f", "g", 1, 0, 0);

			memset(one->function, 0x01, sizeof one->function - 1);
			memset(one->file, 0x01, sizeof one->file - 1);
		}
	} else {
		exit(2);
	}
}

int main(int count, char **names)
{
	if (count == 3)
		return race(names[2]);
	fill(names[1]);
	event.culprit = event.frame_count;
	if (event.kind != MG_EVENT_CANARY)
		event.culprit = mg_culprit(event.frames, event.frame_count);
	errno = 77;
	mg_report_write(&event);
	if (errno != 77)
		return 1;
	take(1);
	return 0;
}
