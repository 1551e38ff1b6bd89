/*
 * Guarded memory: an inaccessible page before and behind the data; after mg_free(), all of it.
 *
 *     | closed page | fence | data ... data | fence | closed page |
 *
 * FENCE         The processor knows pages alone: what the outer pages of the data have beside them
 *               holds a pattern, looked at when the memory is freed. It is then too late to say
 *               who wrote there: that report names who freed, and no culprit.
 * QUARANTINE    Freed memory gives its RAM back and keeps its addresses, with no access, until
 *               4,096 younger ones or 256 MiB of addresses follow; the oldest goes first.
 * REFUSED       A header before the data (an underrun would destroy it; the regions know all);
 *               MG_CONTINUE (what lies there belongs to nobody: nothing can go on with it).
 * Nothing here runs in a handler. One mutex of its own, taken before the one of regions.c.
 */
#include "core.h"

#include <pthread.h>
#include <sys/mman.h>

#define QUARANTINE_COUNT_MAX 4096u
#define QUARANTINE_SLOTS (QUARANTINE_COUNT_MAX + 1) /* the next comes before the oldest goes */
#define QUARANTINE_BYTES_MAX (256ul << 20)
#define PAGES_OF(bytes) (((bytes) + MG_PAGE - 1) & -MG_PAGE)
#define PATTERN(address) ((uint8_t)(0xA5 ^ (address) * 31))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block { uint64_t map, bytes; } quarantine[QUARANTINE_SLOTS];
static size_t quarantine_first, quarantine_last, quarantine_bytes; /* first and last: counts */

static void report_here(const struct mg_fence *fence, uint64_t first, uint64_t width)
{
	struct mg_thread *thread = mg_thread_self();
	struct mg_event *event = &thread->event;
	ucontext_t context;

	if (thread == NULL)
		return;
	thread->depth++;
	getcontext(&context);
	mg_event_start(thread, MG_EVENT_CANARY, &context);
	event->address = first;
	event->offset = first - fence->data;
	event->label = fence->label;
	event->width = (uint32_t)width;
	event->old_known = event->new_known = (uint32_t)least(width, MG_BYTES_MAX);
	memcpy(event->new_bytes, (const void *)first, event->new_known);
	for (uint32_t i = 0; i < event->old_known; i++)
		event->old_bytes[i] = PATTERN(first + i);
	event->end = "goes on";
	mg_report_event(thread, &context);
	thread->depth--;
}

static int check_bytes(const struct mg_fence *fence, uint64_t at, uint64_t bytes, bool is_new)
{
	uint64_t first = 0, last = 0;

	for (uint64_t end = at + bytes; at < end; at++) {
		if (!is_new && *(const uint8_t *)at != PATTERN(at)) {
			first = first ? first : at;
			last = at;
		} else {
			*(uint8_t *)at = PATTERN(at);
		}
	}
	if (first) {
		report_here(fence, first, last - first + 1);
		check_bytes(fence, first, last - first + 1, true); /* mended for the next look */
	}
	return first != 0;
}

int mg_fence(const struct mg_fence *fence, bool is_new)
{
	return check_bytes(fence, fence->data - fence->before, fence->before, is_new) +
	       check_bytes(fence, fence->data + fence->bytes, fence->after, is_new);
}

/* A region that has no access from now on, known by the data that it belongs to. */
static int close_pages(uint64_t start, uint64_t bytes, enum mg_region_kind kind,
		       const struct mg_fence *fence)
{
	struct mg_options options = { .label = fence->label };
	struct mg_extent extent;
	int id = mg_region_make(start, bytes, kind, &options, &extent), error;

	if (id < 0)
		return id;
	mg_region_of(id)->given = fence->data;
	mg_region_of(id)->given_bytes = fence->bytes;
	error = mg_set_state(mg_region_of(id), 0, bytes / MG_PAGE, MG_PAGE_CLOSED, 0);
	if (error < 0)
		mg_region_end(id);
	return error < 0 ? error : id;
}

static void end_at(uint64_t address)
{
	struct mg_region *region = mg_region_at(address);

	if (region)
		mg_region_end(region->id);
}

static void *none(int error, const char *problem)
{
	mg_fail(error, problem);
	return NULL;
}

void *mg_alloc_in(void *map, size_t map_bytes, size_t bytes, size_t align_end, const char *label)
{
	uint64_t start = (uint64_t)map + MG_PAGE, end = start + PAGES_OF(bytes);
	uint64_t data = align_end ? (end - bytes) & -align_end : start;
	struct mg_fence fence = { data, bytes, data - start, end - data - bytes, label };

	if (start % MG_PAGE || map_bytes != end - start + 2 * MG_PAGE)
		return none(EINVAL, "not whole pages, as many as these bytes need and two more");
	if (close_pages(start - MG_PAGE, MG_PAGE, MG_KIND_GUARD_BEFORE, &fence) < 0)
		return NULL;
	if (close_pages(end, MG_PAGE, MG_KIND_GUARD_AFTER, &fence) < 0) {
		end_at(start - MG_PAGE);
		return NULL;
	}
	mg_fence(&fence, true);
	return (void *)data;
}

void *mg_alloc(size_t bytes, int align_end, const char *label)
{
	size_t all = PAGES_OF(bytes) + 2 * MG_PAGE;
	void *map, *data;

	if (bytes == 0 || bytes > SIZE_MAX / 4 || align_end & (align_end - 1) ||
	    align_end < 0 || align_end > (int)MG_PAGE)
		return none(EINVAL, "mg_alloc wants 1 byte or more, an alignment of 0 or 2^n");
	map = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return none(errno, "no memory for a guarded allocation");
	data = mg_alloc_in(map, all, bytes, (size_t)align_end, label);
	if (data == NULL)
		munmap(map, all);
	return data;
}

/* The fence of the allocation that begins there; its data may be closed already (is_freed). */
static int find(void *memory, struct mg_fence *fence)
{
	uint64_t data = (uint64_t)memory, start = data & -MG_PAGE;
	struct mg_region *freed = mg_region_at(start), *before = mg_region_at(start - MG_PAGE);

	if (freed && freed->kind == MG_KIND_FREED)
		return mg_fail(EALREADY, "this memory was freed before");
	if (!before || before->kind != MG_KIND_GUARD_BEFORE || before->given != data)
		return mg_fail(EINVAL, "no guarded allocation begins here");
	*fence = (struct mg_fence){ data, before->given_bytes, data - start, start +
		PAGES_OF(before->given_bytes) - data - before->given_bytes, before->label };
	return 0;
}

int mg_check(void *memory)
{
	struct mg_fence fence;
	int result = find(memory, &fence);

	return result < 0 ? result : mg_fence(&fence, false);
}

int mg_free_in(void *memory)
{
	struct mg_fence fence;
	int result = find(memory, &fence), id;

	if (result < 0)
		return result;
	result = mg_fence(&fence, false);
	id = close_pages(fence.data & -MG_PAGE, PAGES_OF(fence.bytes), MG_KIND_FREED, &fence);
	return id < 0 ? id : result;
}

void mg_forget_in(void *map, size_t bytes)
{
	end_at((uint64_t)map);
	end_at((uint64_t)map + MG_PAGE);
	end_at((uint64_t)map + bytes - MG_PAGE);
}

int mg_free(void *memory)
{
	struct mg_region *before;
	uint64_t map = ((uint64_t)memory & -MG_PAGE) - MG_PAGE, bytes;
	int result;

	pthread_mutex_lock(&lock);
	result = mg_free_in(memory);
	if (result >= 0) {
		before = mg_region_at(map);
		bytes = PAGES_OF(before->given_bytes) + 2 * MG_PAGE;
		madvise((void *)map, bytes, MADV_DONTNEED);
		quarantine[quarantine_last++ % QUARANTINE_SLOTS] = (struct block){ map, bytes };
		quarantine_bytes += bytes;
	}
	while (quarantine_last - quarantine_first > QUARANTINE_COUNT_MAX ||
	       quarantine_bytes > QUARANTINE_BYTES_MAX) {
		struct block *oldest = &quarantine[quarantine_first++ % QUARANTINE_SLOTS];

		quarantine_bytes -= oldest->bytes;
		mg_forget_in((void *)oldest->map, oldest->bytes);
		munmap((void *)oldest->map, oldest->bytes);
	}
	pthread_mutex_unlock(&lock);
	return result;
}
