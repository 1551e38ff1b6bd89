/*
 * Second mappings: the alias of MG_ALIAS, where writes go on while the page stays closed to all
 * others, and the scratch memory of MG_DIVERT.
 *
 * MOVE      Private memory cannot be mapped twice, so its content moves into a memfd, some pages at
 *           a time: protect, copy, map the memfd over them in one call. A thread that writes there
 *           meanwhile faults, finds `is_moving`, and tries again until the new pages are there. The
 *           way back is the same, into fresh private pages. Pages of zeros stay unallocated.
 * LIMITS    The move copies: what the kernel still holds of the old pages (a read in flight, pages
 *           lent by vmsplice) parts from them, and a system call that writes there during the move
 *           has EFAULT. Guarded like this the memory is shared with a child of fork().
 * REFUSED   Files, memory shared with other processes, huge and locked pages: other copies
 *           or promises hang on them. Seen in /proc/self/smaps, which is slow where there are
 *           thousands of mappings: a region costs one pass over it.
 */
#include "core.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#define NAME "millrace-guard"
#define CHUNK (64 * MG_PAGE)
#define READ_WRITE (PROT_READ | PROT_WRITE)

/* Why this mapping's pages cannot move, or NULL. */
static const char *refusal(const struct mg_mapping *mapping)
{
	if (mapping->inode != 0 || mapping->is_shared)
		return "an alias needs private memory: this is a file's, or shared with others";
	if (strstr(mapping->flags, " ht ") != NULL)
		return "an alias needs pages of 4 KiB: these are huge ones";
	if (strstr(mapping->flags, " lo ") != NULL)
		return "an alias cannot be made of locked memory (mlock)";
	if (strstr(mapping->flags, " um ") != NULL || strstr(mapping->flags, " uw ") != NULL)
		return "an alias cannot be made of memory that userfaultfd serves";
	return NULL;
}

static const char *not_ours(const struct mg_mapping *mapping)
{
	return strstr(mapping->name, "/memfd:" NAME) == NULL ? "not an alias" : NULL;
}

static void copy_pages(uint8_t *to, const uint8_t *from, uint64_t bytes)
{
	static const uint8_t zeros[MG_PAGE];

	for (uint64_t at = 0; at < bytes; at += MG_PAGE)
		if (memcmp(from + at, zeros, MG_PAGE) != 0)
			memcpy(to + at, from + at, MG_PAGE);
}

/* One chunk into the memfd, or back into private memory. */
static bool move_chunk(uint64_t start, uint64_t bytes, uint8_t *alias, int fd, uint64_t offset)
{
	void *at = (void *)start, *fresh = MAP_FAILED;
	bool is_moved = mprotect(at, bytes, PROT_READ) == 0;

	if (is_moved && fd >= 0) {
		copy_pages(alias + offset, at, bytes);
		is_moved = mmap(at, bytes, READ_WRITE, MAP_SHARED | MAP_FIXED, fd,
				(off_t)offset) == at;
	} else if (is_moved) {
		fresh = mmap(NULL, bytes, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		is_moved = fresh != MAP_FAILED;
		if (is_moved)
			copy_pages(fresh, alias + offset, bytes);
		is_moved = is_moved && mremap(fresh, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
					      at) == at;
	}
	if (!is_moved)
		mprotect(at, bytes, READ_WRITE);
	return is_moved;
}

static uint64_t move_all(struct mg_region *region, uint64_t bytes, int fd)
{
	uint64_t done = 0, piece;

	atomic_store(&region->is_moving, true);
	for (; done < bytes; done += piece) {
		piece = least(bytes - done, CHUNK);
		if (!move_chunk(region->start + done, piece, (uint8_t *)region->alias, fd, done))
			break;
	}
	atomic_store(&region->is_moving, false);
	return done;
}

int mg_alias_make(struct mg_region *region)
{
	const char *problem = mg_mappings_look(region->start, region->bytes, refusal);
	uint64_t moved;
	void *alias = MAP_FAILED;
	int fd;

	if (problem != NULL)
		return mg_fail(EOPNOTSUPP, problem);
	fd = memfd_create(NAME, MFD_CLOEXEC);
	if (fd >= 0 && ftruncate(fd, (off_t)region->bytes) == 0)
		alias = mmap(NULL, region->bytes, READ_WRITE, MAP_SHARED, fd, 0);
	if (alias == MAP_FAILED) {
		if (fd >= 0)
			close(fd);
		return mg_fail(ENOMEM, "no memory for the alias");
	}
	region->alias = (uint64_t)alias;
	moved = move_all(region, region->bytes, fd);
	close(fd);
	if (moved == region->bytes)
		return 0;
	move_all(region, moved, -1);
	munmap(alias, region->bytes);
	region->alias = 0;
	return mg_fail(ENOMEM, "the kernel refused to map the pages of the alias");
}

/* Where the owner has unmapped it meanwhile nothing is put back; what no memory is to be had for
   stays in the alias's file. */
void mg_alias_end(struct mg_region *region)
{
	if (region->alias == 0)
		return;
	if (mg_mappings_look(region->start, region->bytes, not_ours) == NULL)
		move_all(region, region->bytes, -1);
	munmap((void *)region->alias, region->bytes);
	region->alias = 0;
}

/* Twice the size: where writes go, and copies of pages that are open for a step (step.c). */
int mg_scratch_make(struct mg_region *region)
{
	void *scratch = mmap(NULL, 2 * region->bytes, READ_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (scratch == MAP_FAILED)
		return mg_fail(ENOMEM, "no address space for the scratch copy");
	region->scratch = (uint64_t)scratch;
	return 0;
}

void mg_scratch_end(struct mg_region *region)
{
	if (region->scratch != 0)
		munmap((void *)region->scratch, 2 * region->bytes);
	region->scratch = 0;
}
