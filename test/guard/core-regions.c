/*
 * The guard's regions, from C: extents at every alignment, overlap, what is refused, thousands of
 * regions, limits, and memory that goes away. One command an argument; exit 0 when all is right.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "core.h"

#define CHECK(is_right) \
	do { \
		if (!(is_right)) { \
			printf("line %d: %s; problem: %s\n", __LINE__, #is_right, mg_problem()); \
			exit(1); \
		} \
	} while (0)

static const struct mg_options PLAIN = {.label = "plain"};

static uint8_t *map_pages(size_t pages)
{
	void *memory = mmap(NULL, pages * MG_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(memory != MAP_FAILED);
	return memory;
}

/* Whether the kernel may write there: the guard's own words are not asked. */
static bool is_writable(const void *address)
{
	static int zero = -1;

	if (zero < 0)
		zero = open("/dev/zero", O_RDONLY);
	return read(zero, (void *)address, 1) == 1;
}

static void extents(void)
{
	static const size_t EDGES[] = {0, 1, 8, 16, 100, 4095, 4096, 4097, 8191, 8192};
	uint8_t *memory = map_pages(8);
	struct mg_extent extent;

	for (size_t i = 0; i < 10; i++) {
		for (size_t bytes = 0; bytes <= 5 * MG_PAGE; bytes += 511) {
			uint8_t *start = memory + EDGES[i];
			int id = mg_region(start, bytes, &PLAIN, &extent);
			size_t first = (EDGES[i] + 4095) / 4096, end = (EDGES[i] + bytes) / 4096;

			if (end <= first) {
				CHECK(id == -EINVAL && extent.bytes == 0);
				continue;
			}
			CHECK(id > 0);
			CHECK(extent.offset == first * 4096 - EDGES[i]);
			CHECK(extent.bytes == (end - first) * 4096);
			CHECK(mg_protect(id, 0, bytes, 1) == 0);
			for (size_t page = 0; page < 8; page++)
				CHECK(is_writable(memory + page * 4096) ==
				      (page < first || page >= end));
			CHECK(mg_region_end(id) == 0);
			for (size_t page = 0; page < 8; page++)
				CHECK(is_writable(memory + page * 4096));
		}
	}
}

static void slices(void)
{
	uint8_t *memory = map_pages(8);
	int id = mg_region(memory + 16, 6 * MG_PAGE, &PLAIN, NULL);
	struct mg_region *region = mg_region_of(id);
	struct mg_history *history;

	CHECK(id > 0 && region->start == (uint64_t)memory + MG_PAGE);
	/* Pages 1 .. 5 of the memory; this slice holds page 3 whole, and parts of 2 and 4. */
	CHECK(mg_protect(id, 2 * MG_PAGE + 100, 2 * MG_PAGE, 77) == 0);
	for (size_t page = 0; page < 8; page++)
		CHECK(is_writable(memory + page * MG_PAGE) == (page != 3));
	history = &region->pages[2].history;
	CHECK(region->pages[2].state == MG_PAGE_PROTECTED && history->generation == 77);
	CHECK(history->slice_first == 2 && history->slice_count == 1);
	CHECK(history->protect_tid == mg_tid() && history->protect_ns != 0);
	CHECK(region->pages[1].state == MG_PAGE_OPEN && region->pages[1].history.protect_ns == 0);
	CHECK(mg_protect(id, 0, 6 * MG_PAGE + 1, 0) == -ERANGE && mg_problem()[0] != 0);
	CHECK(mg_protect(id, SIZE_MAX, 2, 0) == -ERANGE);
	CHECK(mg_unprotect(id, 0, 6 * MG_PAGE) == 0 && history->unprotect_ns != 0);
	CHECK(is_writable(memory + 3 * MG_PAGE));
	CHECK(mg_protect(id, 10, 20, 0) == 0); /* no whole page: nothing to do */
	CHECK(mg_region_at((uint64_t)memory) == NULL);
	CHECK(mg_region_at((uint64_t)memory + MG_PAGE) == region);
	CHECK(mg_region_at((uint64_t)memory + 6 * MG_PAGE - 1) == region);
	CHECK(mg_region_at((uint64_t)memory + 6 * MG_PAGE) == NULL);
	CHECK(mg_region_at(0) == NULL && mg_region_at(UINT64_MAX) == NULL);
	CHECK(mg_region_end(id) == 0);
}

static void overlap(void)
{
	uint8_t *memory = map_pages(16);
	int id = mg_region(memory + 4 * MG_PAGE, 4 * MG_PAGE, &PLAIN, NULL), other;

	CHECK(id > 0);
	CHECK(mg_region(memory + 4 * MG_PAGE, 4 * MG_PAGE, &PLAIN, NULL) == -EEXIST);
	CHECK(mg_region(memory, 5 * MG_PAGE, &PLAIN, NULL) == -EEXIST);
	CHECK(mg_region(memory + 7 * MG_PAGE, 5 * MG_PAGE, &PLAIN, NULL) == -EEXIST);
	CHECK(mg_region(memory, 16 * MG_PAGE, &PLAIN, NULL) == -EEXIST);
	CHECK(mg_region(memory + 5 * MG_PAGE, MG_PAGE, &PLAIN, NULL) == -EEXIST);
	/* A refusal leaves nothing behind: the neighbours are free, an edge page is nobody's. */
	other = mg_region(memory, 4 * MG_PAGE + 100, &PLAIN, NULL);
	CHECK(other > 0 && mg_region_end(other) == 0);
	CHECK(mg_region_end(id) == 0);
	CHECK(mg_region_end(id) == -ENOENT && mg_protect(id, 0, MG_PAGE, 0) == -ENOENT);
	other = mg_region(memory + 4 * MG_PAGE, 4 * MG_PAGE, &PLAIN, NULL);
	CHECK(other > 0 && other != id);
	CHECK(mg_region_of(id) == NULL && mg_unprotect(id, 0, MG_PAGE) == -ENOENT);
	CHECK(mg_region_of(0) == NULL && mg_region_of(-5) == NULL);
	CHECK(mg_region_end(other) == 0);
}

static void *enter_and_wait(void *pipe_fds)
{
	uint64_t here = (uint64_t)__builtin_frame_address(0);
	char byte;

	CHECK(mg_thread_enter("other", "test") == 0);
	CHECK(write(((int *)pipe_fds)[1], &here, sizeof here) == sizeof here);
	CHECK(read(((int *)pipe_fds)[2], &byte, 1) == 0);
	mg_thread_leave();
	return NULL;
}

static void refuse(void *address, size_t bytes, int error, const char *word)
{
	struct mg_extent extent = {1, 1};

	CHECK(mg_region(address, bytes, &PLAIN, &extent) == -error);
	CHECK(strstr(mg_problem(), word) != NULL);
}

static void refuse_options(enum mg_mode mode, unsigned flags)
{
	struct mg_options options = {.label = "x", .mode = mode, .flags = flags};
	uint8_t *memory = map_pages(1);

	CHECK(mg_region(memory, MG_PAGE, &options, NULL) == -EOPNOTSUPP && mg_problem()[0] != 0);
	munmap(memory, MG_PAGE);
}

static void refused(void)
{
	uint8_t *memory = map_pages(8), *own = mg_own_map(8 * MG_PAGE);
	uint64_t page_of_code = (uint64_t)&refused & -MG_PAGE, there;
	int here[2], fds[4];
	pthread_t thread;

	refuse((void *)page_of_code, MG_PAGE, EFAULT, "code");
	refuse((void *)((uint64_t)here & -MG_PAGE), MG_PAGE, EFAULT, "stack");
	refuse(own, MG_PAGE, EFAULT, "the guard itself");
	refuse((void *)(1ul << 47), MG_PAGE, EFAULT, "address space");
	refuse((void *)-MG_PAGE, MG_PAGE, EINVAL, "no whole page");
	munmap(memory + 3 * MG_PAGE, MG_PAGE);
	refuse(memory, 8 * MG_PAGE, EFAULT, "not mapped");
	refuse(memory + 3 * MG_PAGE, MG_PAGE, EFAULT, "not mapped");
	mprotect(memory + 5 * MG_PAGE, MG_PAGE, PROT_READ);
	refuse(memory + 4 * MG_PAGE, 4 * MG_PAGE, EFAULT, "readable and writable");
	CHECK(pipe(fds) == 0 && pipe(fds + 2) == 0);
	pthread_create(&thread, NULL, enter_and_wait, fds);
	CHECK(read(fds[0], &there, sizeof there) == sizeof there);
	refuse((void *)((there & -MG_PAGE) - 8 * MG_PAGE), MG_PAGE, EFAULT, "stack");
	close(fds[3]);
	pthread_join(thread, NULL);
	for (int mode = MG_THROW + 1; mode < MG_THROW + 9; mode++) {
		struct mg_options none = {.label = "none", .mode = (enum mg_mode)mode};

		CHECK(mg_region(memory, MG_PAGE, &none, NULL) == -EINVAL);
		CHECK(strstr(mg_problem(), "mode"));
	}
	refuse_options(MG_CONTINUE, MG_NO_READ);
	refuse_options(MG_REPORT, MG_ALIAS);
	refuse_options(MG_DIVERT, MG_ALIAS);
	refuse_options(MG_REPORT, MG_SYSCALLS | MG_NO_READ);
	refuse_options(MG_DIVERT, MG_SYSCALLS);
	refuse_options(MG_THROW, MG_SYSCALLS);
}

static void many(void)
{
	enum { COUNT = 10000 };
	uint8_t *memory = map_pages(2 * COUNT);
	static int ids[COUNT];

	for (size_t i = 0; i < COUNT; i++) {
		ids[i] = mg_region(memory + 2 * i * MG_PAGE, MG_PAGE, &PLAIN, NULL);
		CHECK(ids[i] > 0 && mg_protect(ids[i], 0, MG_PAGE, (uint32_t)i) == 0);
	}
	for (size_t i = 0; i < COUNT; i++) {
		struct mg_region *region = mg_region_at((uint64_t)memory + 2 * i * MG_PAGE + 9);

		CHECK(region == mg_region_of(ids[i]) && region->pages[0].history.generation == i);
		CHECK(mg_region_at((uint64_t)memory + (2 * i + 1) * MG_PAGE) == NULL);
		CHECK(!is_writable(memory + 2 * i * MG_PAGE));
		CHECK(is_writable(memory + (2 * i + 1) * MG_PAGE));
	}
	for (size_t i = 0; i < COUNT; i++)
		CHECK(mg_region_end(ids[i]) == 0);
	for (size_t i = 0; i < 2 * COUNT; i++)
		CHECK(is_writable(memory + i * MG_PAGE));
	CHECK(mg_region_count() == 0);
}

/* All 65,536 regions, and one more; then again, in the slots that came free. */
static void full(void)
{
	uint8_t *memory = map_pages(MG_REGIONS_MAX + 1);
	static int ids[MG_REGIONS_MAX];

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < MG_REGIONS_MAX; i++) {
			ids[i] = mg_region(memory + i * MG_PAGE, MG_PAGE, &PLAIN, NULL);
			CHECK(ids[i] > 0);
		}
		CHECK(mg_region(memory + MG_REGIONS_MAX * MG_PAGE, MG_PAGE, &PLAIN, NULL) ==
		      -ENOSPC);
		for (size_t i = 0; i < MG_REGIONS_MAX; i++)
			CHECK(mg_region_end(ids[i]) == 0);
	}
}

/* Every second page of one region, until the kernel has no mappings left. */
static void mappings(void)
{
	enum { COUNT = 1 << 18 };
	uint8_t *memory = map_pages(COUNT);
	int id = mg_region(memory, COUNT * MG_PAGE, &PLAIN, NULL), error = 0;
	size_t page = 0;

	CHECK(id > 0);
	while (error == 0 && page < COUNT) {
		error = mg_protect(id, page * MG_PAGE, MG_PAGE, 0);
		page += 2;
	}
	CHECK(error == -ENOMEM && strstr(mg_problem(), "max_map_count") != NULL);
	CHECK(mg_region_of(id)->pages[page - 2].state == MG_PAGE_OPEN);
	CHECK(mg_region_of(id)->pages[page - 4].state == MG_PAGE_PROTECTED);
	CHECK(is_writable(memory + (page - 2) * MG_PAGE));
	CHECK(mg_region_end(id) == 0);
	for (size_t i = 0; i < page; i++)
		CHECK(is_writable(memory + i * MG_PAGE));
}

/* The owner broke the rule: the memory is gone, or partly, or something else is there. */
static void gone(void)
{
	uint8_t *memory = map_pages(8);
	int id = mg_region(memory, 8 * MG_PAGE, &PLAIN, NULL);

	CHECK(mg_protect(id, 0, 8 * MG_PAGE, 0) == 0);
	munmap(memory + 3 * MG_PAGE, MG_PAGE);
	/* What cannot be done whole is not done by half. */
	CHECK(mg_unprotect(id, 0, 8 * MG_PAGE) == -ENOMEM && mg_problem()[0] != 0);
	CHECK(!is_writable(memory) && !is_writable(memory + 7 * MG_PAGE));
	CHECK(mg_unprotect(id, 0, MG_PAGE) == 0 && is_writable(memory));
	CHECK(mmap(memory, MG_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	      memory);
	CHECK(mg_region_end(id) == 0);
	for (size_t page = 0; page < 8; page++)
		CHECK(is_writable(memory + page * MG_PAGE) == (page != 3 && page != 0));
	munmap(memory, 8 * MG_PAGE);
	memory = map_pages(8);
	id = mg_region(memory, 8 * MG_PAGE, &PLAIN, NULL);
	CHECK(id > 0 && mg_protect(id, 0, 8 * MG_PAGE, 0) == 0);
	munmap(memory, 8 * MG_PAGE);
	CHECK(mg_region_end(id) == 0 && mg_region_count() == 0);
}

static void labels(void)
{
	struct mg_options options = {.label = "0123456789012345678901234567890123456789"
					      "0123456789012345678901\xc3\xa4\xc3\xa4"};
	uint8_t *memory = map_pages(1);
	int id = mg_region(memory, MG_PAGE, &options, NULL);

	/* 62 digits and a half of a character do not make 63 bytes of UTF-8. */
	CHECK(id > 0 && strlen(mg_region_of(id)->label) == 62);
	CHECK(mg_region_end(id) == 0);
	options.label = NULL;
	id = mg_region(memory, MG_PAGE, &options, NULL);
	CHECK(id > 0 && mg_region_of(id)->label[0] == 0 && mg_region_of(id)->label[62] == 0);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} COMMANDS[] = {
		{"extents", extents}, {"slices", slices},     {"overlap", overlap},
		{"refused", refused}, {"many", many},         {"full", full},
		{"gone", gone},       {"mappings", mappings}, {"labels", labels},
	};

	CHECK(mg_region(map_pages(1), MG_PAGE, &PLAIN, NULL) == -EINVAL);
	CHECK(mg_start() == 0 && mg_start() == 0 && mg_thread_enter("main", "test") == 0);
	for (size_t i = 0; i < sizeof COMMANDS / sizeof COMMANDS[0]; i++)
		for (int k = 1; k < argc; k++)
			if (strcmp(argv[k], COMMANDS[i].name) == 0)
				COMMANDS[i].run();
	printf("right\n");
	return 0;
}
