/*
 * Reports: an event becomes text for people and a line of JSON for programs.
 *
 * HANDLER    All but mg_report_open and mg_report_take run in a signal handler: the buffer lies on
 *            its stack, files are opened beforehand.
 * ORDER      The file and the ring come first, stderr last: it may be a pipe that nobody reads.
 * WHOLE      One write(2) a report: those of threads that fault at once never mix in a file
 *            (O_APPEND). In a pipe that is full they may, beyond PIPE_BUF (4096 bytes).
 * RING       The last 64 reports, for mg_report_take. version = 2 * seq, + 1 while it is written;
 *            a writer that finds another one in its slot (64 reports at once) leaves the ring out.
 * REFUSED    Cutting a long report in mid-line: whole frames are left out, and counted.
 */
#include "format.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

#define RING_REPORTS 64
#define TAIL_BYTES 512 /* kept for what closes a report that was cut */

struct kept { _Atomic uint64_t version; uint32_t bytes; char text[MG_REPORT_BYTES]; };
typedef void say_frame_fn(struct mg_out *out, const struct mg_event *event, uint32_t index);

static struct kept ring[RING_REPORTS]; /* its pages come when they are written */
static _Atomic uint64_t ring_latest;
static _Atomic int report_fd = -1;

static const struct { unsigned bit; const char *text, *json; } notes[] = {
	{ MG_NOTE_INTERPRETED, "interpreted", "interpreted" },
	{ MG_NOTE_BASELINE, "baseline", "baseline" },
	{ MG_NOTE_OPTIMIZED, "optimised", "optimized" },
	{ MG_NOTE_INLINED, "inlined into the next", "inlined" },
	{ MG_NOTE_FUNCTION_LINE, "the line is the function's, not the write's", "function-line" },
	{ MG_NOTE_MAY_HIDE, "functions inlined into it are not shown", "may-hide-inlined" },
	{ MG_NOTE_PERF_MAP, "named by the perf map", "perf-map" },
};
#define NOTES (sizeof notes / sizeof notes[0])

static const struct { int32_t number; const char *name; } syscalls[] = {
	{ 0, "read" }, { 17, "pread64" }, { 19, "readv" }, { 295, "preadv" }, { 327, "preadv2" },
	{ 45, "recvfrom" }, { 47, "recvmsg" }, { 299, "recvmmsg" }, { 426, "io_uring_enter" },
	{ 318, "getrandom" }, { 16, "ioctl" }, { 310, "process_vm_readv" }, { 5, "fstat" },
	{ 332, "statx" }, { 89, "readlink" }, { 217, "getdents64" }, { 228, "clock_gettime" },
};

static const char *const ends[][2] = {
	{ "dies", "the process dies of it" },
	{ "goes on", "it was let through, the program goes on" },
	{ "diverted", "it went to a copy: the data are as they were, the program goes on" },
	{ "throws", "it is WebAssembly's RuntimeError now: the data are as they were" },
};

HANDLER static const char *end_text(const char *end)
{
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		if (strcmp(ends[i][0], end) == 0)
			return ends[i][1];
	return end;
}

HANDLER static const char *syscall_name(int32_t number)
{
	for (size_t i = 0; i < sizeof syscalls / sizeof syscalls[0]; i++)
		if (syscalls[i].number == number)
			return syscalls[i].name;
	return "of the kernel";
}

/* Where the names of JavaScript functions come from; "native": no engine in this process. */
HANDLER static const char *names_source(const struct mg_event *event)
{
	for (uint32_t i = 0; i < event->frame_count; i++)
		if (event->frames[i].notes & MG_NOTE_PERF_MAP)
			return "perf-map";
	return !mg_has_engine() ? "native" : mg_v8_is_known() ? "v8" : "none";
}

HANDLER static void say_name(struct mg_out *out, const struct mg_frame *frame)
{
	mg_say(out, "%s", frame->function[0] ? frame->function :
			  frame->kind != MG_FRAME_NATIVE ? "anonymous function" :
			  frame->module[0] ? "function without a name" : "code made at run time");
	if (frame->file[0])
		mg_say(out, frame->column ? " (%s:%u:%u)" : frame->line ? " (%s:%u)" : " (%s)",
		       frame->file, frame->line, frame->column);
	else if (frame->kind == MG_FRAME_NATIVE && frame->module[0] && !frame->function[0])
		mg_say(out, " (in %s)", frame->module);
}

HANDLER static void say_label(struct mg_out *out, const struct mg_event *event)
{
	if (event->label && event->label[0])
		mg_say(out, "'%s'", event->label);
	else if (event->region)
		mg_say(out, "region %d", event->region_id);
	else
		mg_say(out, "the watched bytes");
}

/* Bytes past the end, or before the start, of what the owner has; 0: inside. */
HANDLER static uint64_t bytes_beyond(const struct mg_event *event)
{
	uint64_t end = event->address + (event->width ? event->width : 1);

	return event->memory == MG_KIND_GUARD_AFTER ? end - event->edge :
	       event->memory == MG_KIND_GUARD_BEFORE ? event->edge - event->address : 0;
}

HANDLER static uint64_t before(const struct mg_event *event, uint64_t ns)
{
	return event->time_ns > ns ? event->time_ns - ns : 0;
}

/* The line that says it all. */
HANDLER static void say_what(struct mg_out *out, const struct mg_event *event)
{
	static const char *const causes[] = { "segmentation fault", "segmentation fault",
		"watchpoint", "system call", "damaged canary" };
	static const char *const verbs[] = { "wrote", "read", "accessed", "wrote", "wrote" };
	bool is_known_write = event->kind == MG_EVENT_WATCH && event->insn.is_write;
	bool is_freed = event->memory == MG_KIND_FREED;
	const struct mg_frame *culprit = &event->frames[event->culprit];
	uint64_t beyond = bytes_beyond(event);

	mg_say(out, "%s at %X: %s", causes[event->kind], event->address,
	       is_freed ? "use after free: " : "");
	if (beyond) {
		mg_say(out, event->memory == MG_KIND_GUARD_AFTER ? "overrun of " : "underrun of ");
		say_label(out, event);
		mg_say(out, " by %U byte%s: ", beyond, beyond == 1 ? "" : "s");
	}
	if (event->culprit >= event->frame_count)
		mg_say(out, "unknown code");
	else
		say_name(out, culprit);
	if (event->culprit < event->frame_count && culprit->notes & MG_NOTE_MAY_HIDE)
		mg_say(out, ", or a function inlined into it,");
	else if (event->culprit < event->frame_count && culprit->notes & MG_NOTE_FUNCTION_LINE)
		mg_say(out, ", somewhere in it,");
	if (event->kind == MG_EVENT_SYSCALL)
		mg_say(out, " by the system call %s", syscall_name(event->syscall_number));
	mg_say(out, " %s", is_known_write ? "wrote" : verbs[event->kind]);
	if (event->width)
		mg_say(out, " %u byte%s", event->width, event->width == 1 ? "" : "s");
	if (!beyond) {
		if (is_known_write && memcmp(event->old_bytes, event->new_bytes, event->old_known) == 0)
			mg_say(out, " what was there already, somewhere in ");
		else
			mg_say(out, " at offset %D of ", event->offset);
		say_label(out, event);
	}
	if (is_freed)
		mg_say(out, ", freed %A before", before(event, event->history.protect_ns));
	if (event->kind == MG_EVENT_CANARY)
		mg_say(out, " since the last check; the stack is that of this check");
}

/* What was done to the page, when, and by which thread. */
HANDLER static void say_deed(struct mg_out *out, const struct mg_event *event, const char *what,
			     uint64_t ns, int32_t tid, const char *name)
{
	mg_say(out, "%s %A before by ", what, before(event, ns));
	if (tid == event->tid)
		mg_say(out, "the same thread");
	else if (name && name[0])
		mg_say(out, "thread %s (tid %d)", name, tid);
	else
		mg_say(out, "thread %d", tid);
}

HANDLER static void say_page(struct mg_out *out, const struct mg_event *event)
{
	static const char *const deeds[] = { "protected", "allocated", "allocated", "freed" };
	const struct mg_history *page = &event->history;

	if (event->memory == MG_KIND_VIEW)
		mg_say(out, "\n  slice     %u page%s from page %u on, generation %u: byte %U of it",
		       page->slice_count, page->slice_count == 1 ? "" : "s", page->slice_first,
		       page->generation, event->slice_offset);
	mg_say(out, "\n  history   ");
	if (page->protect_ns)
		say_deed(out, event, deeds[event->memory], page->protect_ns,
			 page->protect_tid, event->protector);
	if (page->unprotect_ns)
		say_deed(out, event, page->protect_ns ? ", unprotected" : "unprotected",
			 page->unprotect_ns, page->unprotect_tid, event->unprotector);
	else if (event->memory == MG_KIND_VIEW)
		mg_say(out, ", never unprotected");
}

HANDLER static void say_frame(struct mg_out *out, const struct mg_event *event, uint32_t index)
{
	const struct mg_frame *frame = &event->frames[index];
	const char *comma = "  ";

	mg_say(out, "\n  %s [%X]  ", frame->kind == MG_FRAME_JS ? "js" :
	       frame->kind == MG_FRAME_WASM ? "wasm" : frame->module[0] ? frame->module :
	       frame->kind == MG_FRAME_BUILTIN ? "v8" : "?",
	       frame->module_offset ? frame->module_offset : frame->pc);
	say_name(out, frame);
	for (size_t i = 0; i < NOTES; i++) {
		if (!(frame->notes & notes[i].bit))
			continue;
		mg_say(out, "%s%s", comma, notes[i].text);
		comma = ", ";
	}
	if (index == event->culprit)
		mg_say(out, "  \xe2\x86\x90 the culprit");
}

/* The first frames that fit, at most `count`; how many are left. */
HANDLER static uint32_t say_frames(struct mg_out *out, const struct mg_event *event,
				   uint32_t count, say_frame_fn *say_one)
{
	uint32_t index = 0;

	for (; index < count; index++) {
		char *start = out->at;

		say_one(out, event, index);
		if (out->is_full) {
			out->at = start;
			break;
		}
	}
	out->is_full = false;
	out->end += TAIL_BYTES;
	return count - index;
}

/* V8's perf map, where it writes one, is for readers with time. */
HANDLER static void say_no_names(struct mg_out *out)
{
	char path[48] = "";
	struct mg_out to = {path, path + sizeof path - 1, false, false};

	mg_say(&to, "/tmp/perf-%d.map", (int32_t)getpid());
	if (access(path, R_OK) == 0)
		mg_say(out, "\n  note      names of functions are in %s: nameByPerfMap() and"
			    " `millrace guard run` read it", path);
	else
		mg_say(out, "\n  note      functions of this version of Node.js cannot be named; start"
			    " it with --perf-basic-prof --interpreted-frames-native-stack");
}

HANDLER static void say_text(struct mg_out *out, const struct mg_event *event)
{
	uint32_t cut, folded = mg_outer_machinery(event->frames, event->frame_count);

	say_what(out, event);
	if (event->old_known || event->new_known)
		mg_say(out, "\n  bytes     %B -> %B", event->old_bytes, event->old_known,
		       event->new_bytes, event->new_known);
	mg_say(out, "\n  thread    %s%s%s, tid %d of process %d\n  time      %T",
	       event->thread_name, event->thread_role[0] ? ", role " : "", event->thread_role,
	       event->tid, (int32_t)getpid(), event->time_ns);
	if (event->region)
		say_page(out, event);
	mg_say(out, "\n  code      %B %s %X\n  then      %s", event->code,
	       (uint32_t)(event->insn.length ? event->insn.length : sizeof event->code),
	       event->kind >= MG_EVENT_WATCH ? "before" : "at", event->pc, end_text(event->end));
	if (names_source(event)[1] == 'o')
		say_no_names(out);
	cut = say_frames(out, event, event->frame_count - folded, say_frame);
	if (cut)
		mg_say(out, "\n  and %u more frames, for which this report has no room", cut);
	if (folded)
		mg_say(out, "\n  and %u frame%s of Node.js itself, which the JSON has", folded,
		       folded == 1 ? "" : "s");
	mg_say(out, "\n");
}

HANDLER static void json_frame(struct mg_out *out, const struct mg_event *event, uint32_t index)
{
	static const char *const kinds[] = { "native", "builtin", "js", "wasm" };
	const struct mg_frame *frame = &event->frames[index];
	bool is_first = true;

	mg_say(out, index ? ",{" : "{");
	mg_say(out, "\"kind\":\"%s\",\"function\":\"%s\",\"file\":\"%s\",\"line\":%z,\"column\":%z,"
		    "\"module\":\"%s\",\"moduleOffset\":\"%X\",\"pc\":\"%X\",\"notes\":[",
	       kinds[frame->kind], frame->function, frame->file, frame->line, frame->column,
	       frame->module, frame->module_offset, frame->pc);
	for (size_t i = 0; i < NOTES; i++) {
		if (!(frame->notes & notes[i].bit))
			continue;
		mg_say(out, is_first ? "\"%s\"" : ",\"%s\"", notes[i].json);
		is_first = false;
	}
	mg_say(out, "]}");
}

HANDLER static void say_json(struct mg_out *out, const struct mg_event *event)
{
	static const char *const kinds[] = { "write", "read", "watch", "syscall", "canary" };
	static const char *const places[] = { "view", "guard-before", "guard-after", "freed" };
	const struct mg_history *page = &event->history;

	mg_say(out, "{\"seq\":%U,\"kind\":\"%s\",\"time\":%T,\"pid\":%d,\"tid\":%d,"
		    "\"threadName\":\"%s\",\"threadRole\":\"%s\",\"label\":\"%s\",\"address\":\"%X\","
		    "\"offset\":%D,\"width\":%z,\"beyond\":%U,", event->seq, kinds[event->kind],
	       event->time_ns, (int32_t)getpid(), event->tid, event->thread_name,
	       event->thread_role, event->label, event->address, event->offset, event->width,
	       bytes_beyond(event));
	mg_say(out, "\"old\":\"%B\",\"new\":\"%B\",\"code\":\"%B\",\"pc\":\"%X\",\"isAtomic\":%s,",
	       event->old_bytes, event->old_known, event->new_bytes, event->new_known, event->code,
	       (uint32_t)(event->insn.length ? event->insn.length : sizeof event->code), event->pc,
	       event->insn.is_atomic ? "true" : "false");
	if (event->region)
		mg_say(out, "\"place\":\"%s\",\"page\":%u,\"generation\":%u,\"slicePage\":%u,"
			    "\"slicePages\":%u,\"protectTime\":%T,\"protectTid\":%z,"
			    "\"unprotectTime\":%T,\"unprotectTid\":%z,",
		       places[event->memory], event->page_index, page->generation,
		       page->slice_first, page->slice_count, page->protect_ns, page->protect_tid,
		       page->unprotect_ns, page->unprotect_tid);
	if (event->kind == MG_EVENT_SYSCALL)
		mg_say(out, "\"syscall\":%d,\"syscallName\":\"%s\","
			    "\"syscallArgs\":[\"%X\",\"%X\",\"%X\"],", event->syscall_number,
		       syscall_name(event->syscall_number), event->syscall_args[0],
		       event->syscall_args[1], event->syscall_args[2]);
	mg_say(out, "\"isFatal\":%s,\"end\":\"%s\",\"names\":\"%s\",\"culprit\":",
	       event->is_fatal ? "true" : "false", event->end, names_source(event));
	mg_say(out, event->culprit < event->frame_count ? "%u" : "null", event->culprit);
	mg_say(out, ",\"frames\":[");
	mg_say(out, "],\"framesCut\":%u}\n", say_frames(out, event, event->frame_count, json_frame));
}

/* Waits for a pipe that is full, but not for ever: its reader may wait for us. */
HANDLER static void write_whole(int fd, const char *text, size_t bytes)
{
	for (int tries = 10; bytes > 0 && tries > 0;) {
		ssize_t count = write(fd, text, bytes);

		if (count >= 0) {
			text += count;
			bytes -= (size_t)count;
		} else if (errno == EAGAIN) {
			poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, 100);
			tries--;
		} else if (errno != EINTR) {
			return;
		}
	}
}

HANDLER static void keep(uint64_t seq, const char *text, size_t bytes)
{
	struct kept *slot = &ring[seq % RING_REPORTS];
	uint64_t version = atomic_load(&slot->version), latest = atomic_load(&ring_latest);

	if (version % 2 == 0 && version < 2 * seq &&
	    atomic_compare_exchange_strong(&slot->version, &version, 2 * seq + 1)) {
		memcpy(slot->text, text, bytes);
		slot->bytes = (uint32_t)bytes;
		atomic_store(&slot->version, 2 * seq);
	}
	while (latest < seq && !atomic_compare_exchange_weak(&ring_latest, &latest, seq))
		;
}

HANDLER void mg_report_write(const struct mg_event *event)
{
	char text[MG_REPORT_BYTES];
	struct mg_out out = { text, text + sizeof text - TAIL_BYTES, true, false };
	int fd = atomic_load(&report_fd), error = errno;

	say_json(&out, event);
	if (fd >= 0)
		write_whole(fd, text, (size_t)(out.at - text));
	keep(event->seq, text, (size_t)(out.at - text) - 1);
	out = (struct mg_out){ text, text + sizeof text - TAIL_BYTES, false, false };
	say_text(&out, event);
	write_whole(STDERR_FILENO, text, (size_t)(out.at - text));
	errno = error;
}

uint64_t mg_report_last(void)
{
	return atomic_load(&ring_latest);
}

int mg_report_take(uint64_t seq, char *out, size_t bytes)
{
	struct kept *slot = &ring[seq % RING_REPORTS];
	uint64_t version = atomic_load(&slot->version);
	uint32_t length = slot->bytes;

	if (version / 2 > seq || atomic_load(&ring_latest) >= seq + RING_REPORTS)
		return -ENOENT;
	if (version != 2 * seq)
		return 0;
	if (length > bytes)
		return -ENOSPC;
	memcpy(out, slot->text, length);
	atomic_thread_fence(memory_order_acquire);
	return atomic_load(&slot->version) == version ? (int)length : -ENOENT;
}

/* The fd stays the same for ever: a handler may be about to write to it. */
int mg_report_open(const char *path)
{
	int fd = open(path ? path : "/dev/null", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	int none = -1;

	if (fd < 0)
		return -errno;
	if (!atomic_compare_exchange_strong(&report_fd, &none, fd)) {
		dup3(fd, none, O_CLOEXEC);
		close(fd);
	}
	return 0;
}
