/*
 * Regions: which pages are guarded, by whom, and what was done to each of them last.
 *
 * LAYOUT      A region is a slot of a table (its id = epoch << 16 | slot, so that a stale id is
 *             refused), and one struct mg_page for each of its pages. A radix tree of three levels
 *             leads from a page to slot + 1. Tree nodes and histories come from one pool of own
 *             memory; nodes are never given back, histories are reused.
 * LOCKS       The mutex orders mg_region() and mg_region_end(). Toggling pages takes none: it
 *             counts itself in `users` (the end waits for 0) and claims its pages by their `busy`
 *             words, in ascending order, so the claims of two threads cannot wait in a circle.
 * HANDLERS    mg_region_at() is wait-free: three loads. A handler may meet a region in the middle
 *             of anything: what it reads is stale at worst, and mapped. The state of a page says
 *             what its protection is, unless it is busy: then the instruction is tried again.
 * MEMORY GONE The owner keeps guarded memory alive. If it does not: pages that are open are never
 *             touched again, and those that are not are opened one by one where some are unmapped.
 * FORK        The child keeps regions, protection and handlers. Claims of threads that it does not
 *             have are void: `busy` holds the fork's number.
 * REFUSED     one lock around mprotect (the kernel has its own: ours would only add a convoy); a
 *             sorted array of regions (a handler would have to read it while it moves).
 */
#include "core.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define ROOT_BITS 11
#define NODE_BITS 12
#define NODE_SIZE (1ul << NODE_BITS)
#define NODE_MASK (NODE_SIZE - 1)
#define ADDRESS_END (1ul << (12 + NODE_BITS + NODE_BITS + ROOT_BITS))
#define POOL_BYTES (1ul << 30)
#define POOL_BYTES_LEAST (1ul << 26) /* where address space is scarce */
#define POOL_IS_USED_UP "the guard's own memory for histories (1 GiB) is used up"
#define NO_SUCH_REGION "there is no such region (any more)"
#define EPOCH_MASK 0x7fffu
#define SLOT_MASK 0xffffu
#define ENDED UINT32_MAX /* a fault of before may still be on its way */

struct leaf {
	_Atomic uint32_t slot[NODE_SIZE]; /* slot + 1, 0: never guarded, or ENDED */
};
struct branch {
	_Atomic(void *) leaf[NODE_SIZE]; /* struct leaf * */
};

static _Atomic(void *) root[1u << ROOT_BITS]; /* struct branch * */
static struct mg_region *table;
static uint32_t slots_used;  /* never taken before: from here on */
static uint32_t first_free;  /* slot + 1 of the list of free slots */
static uint32_t *next_free;
static uint8_t *pool;
static uint64_t pool_bytes, pool_used;
static void *free_history[64]; /* by log2 of the bytes; the first word links */
static _Atomic uint32_t regions; /* that exist */
static uint32_t fork_number = 1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static uint32_t tree_at(uint64_t address)
{
	uint64_t page = address / MG_PAGE;
	struct branch *branch = address < ADDRESS_END ? root[page >> 2 * NODE_BITS] : NULL;
	struct leaf *leaf = branch == NULL ? NULL : branch->leaf[page >> NODE_BITS & NODE_MASK];

	return leaf == NULL ? 0 : leaf->slot[page & NODE_MASK];
}

struct mg_region *mg_region_at(uint64_t address)
{
	uint32_t slot = tree_at(address);

	return slot == 0 || slot == ENDED ? NULL : &table[slot - 1];
}

bool mg_was_region(uint64_t address)
{
	return tree_at(address) != 0;
}

/* Fresh memory, zeroed. NULL: the pool is used up. */
static void *pool_take(uint64_t bytes)
{
	if (bytes > pool_bytes - pool_used)
		return NULL;
	pool_used += bytes;
	return pool + pool_used - bytes;
}

static unsigned size_class(uint64_t bytes)
{
	return bytes <= 64 ? 6 : 64 - (unsigned)__builtin_clzl(bytes - 1);
}

static struct mg_page *history_take(uint64_t count)
{
	unsigned class = size_class(count * sizeof(struct mg_page));
	void **chunk = free_history[class];

	if (chunk == NULL)
		return pool_take(1ul << class);
	free_history[class] = *chunk;
	return memset(chunk, 0, count * sizeof(struct mg_page));
}

static void history_give(struct mg_page *pages, uint64_t count)
{
	unsigned class = size_class(count * sizeof(*pages));

	*(void **)pages = free_history[class];
	free_history[class] = pages;
}

/* The node that a word of the tree points to, made when there is none. */
static void *tree_node(_Atomic(void *) *word, size_t bytes)
{
	if (atomic_load(word) == NULL)
		atomic_store(word, pool_take(bytes));
	return atomic_load(word);
}

/* Under the mutex. Undoes itself when the pool is used up. */
static int tree_set(uint64_t start, uint64_t bytes, uint32_t value)
{
	for (uint64_t page = start / MG_PAGE; page < (start + bytes) / MG_PAGE; page++) {
		struct branch *branch = tree_node(&root[page >> 2 * NODE_BITS], sizeof *branch);
		struct leaf *leaf = branch == NULL ? NULL :
				    tree_node(&branch->leaf[page >> NODE_BITS & NODE_MASK],
					      sizeof *leaf);

		if (leaf == NULL) {
			tree_set(start, page * MG_PAGE - start, 0);
			return mg_fail(ENOMEM, POOL_IS_USED_UP);
		}
		atomic_store(&leaf->slot[page & NODE_MASK], value);
	}
	return 0;
}

int mg_regions_start(void)
{
	next_free = mg_own_map(MG_REGIONS_MAX * sizeof(*next_free));
	pool_bytes = POOL_BYTES;
	pool = mg_own_map(pool_bytes);
	if (pool == NULL) {
		pool_bytes = POOL_BYTES_LEAST;
		pool = mg_own_map(pool_bytes);
	}
	table = mg_own_map(MG_REGIONS_MAX * sizeof(*table));
	if (table == NULL || next_free == NULL || pool == NULL)
		return mg_fail(ENOMEM, "no address space for the guard's own tables");
	return 0;
}

struct mg_region *mg_region_of(int id)
{
	struct mg_region *region = table == NULL ? NULL : &table[id & SLOT_MASK];

	return id > 0 && region != NULL && atomic_load(&region->id) == id ? region : NULL;
}

static int check_options(enum mg_region_kind kind, const struct mg_options *options)
{
	unsigned flags = options->flags;

	if ((unsigned)options->mode > MG_THROW)
		return mg_fail(EINVAL, "there is no such mode");
	if (options->mode == MG_CONTINUE && (kind != MG_KIND_VIEW || (flags & MG_NO_READ)))
		return mg_fail(EOPNOTSUPP, "`continue` cannot pass pages closed to reads as well");
	if ((flags & MG_ALIAS) && options->mode != MG_CONTINUE)
		return mg_fail(EOPNOTSUPP, "an alias serves the mode `continue` alone");
	if ((flags & MG_SYSCALLS) && (flags & MG_NO_READ))
		return mg_fail(EOPNOTSUPP, "userfaultfd sees writes alone: not with reads too");
	if ((flags & MG_SYSCALLS) && (options->mode == MG_DIVERT || options->mode == MG_THROW))
		return mg_fail(EOPNOTSUPP, "what the kernel writes cannot be sent elsewhere");
	return 0;
}

static int check_range(uint64_t start, uint64_t end, enum mg_region_kind kind)
{
	if (end > ADDRESS_END)
		return mg_fail(EFAULT, "the memory lies outside of the user's address space");
	for (uint64_t at = start; at < end; at += MG_PAGE)
		if (mg_region_at(at) != NULL)
			return mg_fail(EEXIST, "a page of it belongs to another region already");
	return kind == MG_KIND_VIEW ? mg_check_memory(start, end) : 0;
}

/* A text of which what fits is kept, in whole characters of UTF-8. */
static void keep_text(char *to, size_t size, const char *text)
{
	size_t length = text == NULL ? 0 : strnlen(text, size);

	if (length == size)
		for (length--; length > 0 && (text[length] & 0xc0) == 0x80;)
			length--;
	memset(to, 0, size);
	memcpy(to, text == NULL ? "" : text, length);
}

/* Under the mutex. The bounds are filled. */
static int region_insert(struct mg_region *region, enum mg_region_kind kind,
			 const struct mg_options *options)
{
	uint32_t slot = (uint32_t)(region - table);
	uint64_t count = region->bytes / MG_PAGE;
	int error;

	region->pages = history_take(count);
	if (region->pages == NULL)
		return mg_fail(ENOMEM, POOL_IS_USED_UP);
	region->kind = kind;
	region->mode = options->mode;
	region->flags = options->flags;
	region->alias = region->scratch = 0;
	region->allowed = region->faults = 0;
	keep_text(region->label, sizeof region->label, options->label);
	keep_text(region->allow, sizeof region->allow, options->allow);
	/* Known before its pages move: a writer's fault meanwhile is ours, and tries again. */
	error = tree_set(region->start, region->bytes, slot + 1);
	if (error == 0) {
		if (region->flags & MG_ALIAS)
			error = mg_alias_make(region);
		else if (region->mode == MG_DIVERT)
			error = mg_scratch_make(region);
		if (error < 0)
			tree_set(region->start, region->bytes, ENDED);
	}
	if (error < 0) {
		history_give(region->pages, count);
		return error;
	}
	region->epoch = region->epoch % EPOCH_MASK + 1;
	atomic_store(&region->id, (int)(region->epoch << 16 | slot));
	return 0;
}

static void slot_give(struct mg_region *region)
{
	next_free[region - table] = first_free;
	first_free = (uint32_t)(region - table) + 1;
}

/* Under the mutex. */
static int region_add(uint64_t start, uint64_t end, const struct mg_region *given,
		      const struct mg_options *options)
{
	struct mg_region *region;
	int error = mg_handlers_install() ?: check_range(start, end, given->kind);

	if (error == 0 && first_free == 0 && slots_used == MG_REGIONS_MAX)
		error = mg_fail(ENOSPC, "65536 regions exist already");
	if (error != 0)
		return error;
	region = &table[first_free != 0 ? first_free - 1 : slots_used++];
	if (first_free != 0)
		first_free = next_free[first_free - 1];
	region->start = start;
	region->bytes = end - start;
	region->given = given->given;
	region->given_bytes = given->given_bytes;
	error = region_insert(region, given->kind, options);
	if (error != 0) {
		slot_give(region);
		return error;
	}
	regions++;
	return atomic_load(&region->id);
}

int mg_region_make(uint64_t address, uint64_t bytes, enum mg_region_kind kind,
		   const struct mg_options *options, struct mg_extent *extent)
{
	const struct mg_region given = {.given = address, .given_bytes = bytes, .kind = kind};
	uint64_t start = (address + MG_PAGE - 1) & ~(MG_PAGE - 1);
	uint64_t end = (address + bytes) & ~(MG_PAGE - 1);
	int id;

	*extent = (struct mg_extent){0, 0};
	if (table == NULL)
		return mg_fail(EINVAL, "mg_start() has not been called");
	if (address + bytes < address || start < address || end <= start)
		return mg_fail(EINVAL, "no whole page lies inside of the memory given");
	*extent = (struct mg_extent){start - address, end - start};
	pthread_mutex_lock(&mutex);
	id = check_options(kind, options) ?: region_add(start, end, &given, options);
	pthread_mutex_unlock(&mutex);
	if (id > 0 && (atomic_load(&regions) == 1 || !mg_service_runs()))
		mg_service_start(); /* it looks only while there are regions */
	return id;
}

int mg_region(void *address, size_t bytes, const struct mg_options *options,
	      struct mg_extent *extent)
{
	struct mg_extent unused;

	return mg_region_make((uint64_t)address, bytes, MG_KIND_VIEW, options,
			      extent == NULL ? &unused : extent);
}

bool mg_page_is_busy(struct mg_page *page)
{
	return atomic_load(&page->busy) == fork_number;
}

void mg_page_claim(struct mg_page *page)
{
	uint32_t found;

	do {
		while ((found = atomic_load(&page->busy)) == fork_number)
			sched_yield();
	} while (!atomic_compare_exchange_weak(&page->busy, &found, fork_number));
}

void mg_page_release(struct mg_page *page)
{
	atomic_store(&page->busy, 0);
}

int mg_set_access(struct mg_region *region, uint64_t start, uint64_t bytes,
		  enum mg_page_state state)
{
	static const int PROTECTION[] = {PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE};

	if (region->flags & MG_SYSCALLS)
		return mg_uffd_protect(region, start, bytes, state == MG_PAGE_PROTECTED);
	if (mprotect((void *)start, bytes, PROTECTION[state]) == 0)
		return 0;
	if (errno == ENOMEM)
		return mg_fail(ENOMEM, "the memory is not mapped any more, or the limit of "
				       "mappings (vm.max_map_count) is reached");
	return mg_fail(errno, "the kernel refused to change the protection of the memory");
}

/* Kept: beside two calls of mprotect a third one counts. */
static __thread int32_t own_tid;

int mg_set_state(struct mg_region *region, uint64_t first_page, uint64_t count,
		 enum mg_page_state state, uint32_t generation)
{
	uint64_t now = mg_now_ns(true), start = region->start + first_page * MG_PAGE;
	struct mg_page *pages = region->pages + first_page;
	int error;

	if (own_tid == 0)
		own_tid = mg_tid();
	for (uint64_t i = 0; i < count; i++)
		mg_page_claim(&pages[i]);
	error = mg_set_access(region, start, count * MG_PAGE, state);
	for (uint64_t i = 0; i < count; i++) {
		struct mg_page *page = &pages[i];

		if (error != 0) {
			/* A part may be changed: back to what each page was. */
			mg_set_access(region, start + i * MG_PAGE, MG_PAGE, page->state);
		} else if (state == MG_PAGE_OPEN) {
			page->history.unprotect_ns = now;
			page->history.unprotect_tid = own_tid;
		} else {
			page->history.generation = generation;
			page->history.slice_first = (uint32_t)first_page;
			page->history.slice_count = (uint32_t)count;
			page->history.protect_ns = now;
			page->history.protect_tid = own_tid;
		}
		if (error == 0)
			atomic_store(&page->state, state);
		mg_page_release(page);
	}
	return error;
}

/* False: the region has ended or is about to; its pages are open then. */
bool mg_region_hold(struct mg_region *region)
{
	atomic_fetch_add(&region->users, 1);
	if (atomic_load(&region->id) != 0)
		return true;
	atomic_fetch_sub(&region->users, 1);
	return false;
}

static int toggle(int id, size_t offset, size_t bytes, bool is_on, uint32_t generation)
{
	struct mg_region *region = mg_region_of(id);
	enum mg_page_state state = MG_PAGE_OPEN;
	uint64_t first, end;
	int error = 0;

	if (region == NULL)
		return mg_fail(ENOENT, NO_SUCH_REGION);
	/* Counted in, so that it cannot end meanwhile; unless it just did. */
	atomic_fetch_add(&region->users, 1);
	if (atomic_load(&region->id) != id) {
		error = mg_fail(ENOENT, NO_SUCH_REGION);
	} else if (offset > region->given_bytes || bytes > region->given_bytes - offset) {
		error = mg_fail(ERANGE, "the slice lies outside of the region's memory");
	} else {
		first = (region->given + offset + MG_PAGE - 1) & ~(MG_PAGE - 1);
		end = (region->given + offset + bytes) & ~(MG_PAGE - 1);
		if (is_on)
			state = region->flags & MG_NO_READ ? MG_PAGE_CLOSED : MG_PAGE_PROTECTED;
		if (end > first)
			error = mg_set_state(region, (first - region->start) / MG_PAGE,
					     (end - first) / MG_PAGE, state, generation);
	}
	atomic_fetch_sub(&region->users, 1);
	if (is_on && !mg_service_runs())
		mg_service_start(); /* in a child of fork() */
	return error;
}

int mg_protect(int region, size_t offset, size_t bytes, uint32_t generation)
{
	return toggle(region, offset, bytes, true, generation);
}

int mg_unprotect(int region, size_t offset, size_t bytes)
{
	return toggle(region, offset, bytes, false, 0);
}

static void open_all(struct mg_region *region)
{
	uint64_t count = region->bytes / MG_PAGE, end;

	for (uint64_t first = 0; first < count; first = end) {
		end = first + 1;
		if (region->pages[first].state == MG_PAGE_OPEN)
			continue;
		while (end < count && region->pages[end].state != MG_PAGE_OPEN)
			end++;
		if (mg_set_state(region, first, end - first, MG_PAGE_OPEN, 0) == 0)
			continue;
		for (uint64_t i = first; i < end; i++)
			mg_set_state(region, i, 1, MG_PAGE_OPEN, 0);
	}
}

int mg_region_end(int id)
{
	struct mg_region *region = mg_region_of(id);
	int wanted = id;

	if (region == NULL || !atomic_compare_exchange_strong(&region->id, &wanted, 0))
		return mg_fail(ENOENT, NO_SUCH_REGION);
	while (atomic_load(&region->users) != 0)
		sched_yield();
	open_all(region);
	pthread_mutex_lock(&mutex);
	mg_alias_end(region);
	mg_scratch_end(region);
	tree_set(region->start, region->bytes, ENDED);
	history_give(region->pages, region->bytes / MG_PAGE);
	slot_give(region);
	regions--;
	pthread_mutex_unlock(&mutex);
	return 0;
}

uint32_t mg_region_count(void)
{
	return atomic_load(&regions);
}

void mg_regions_lock(void)
{
	pthread_mutex_lock(&mutex);
}

void mg_regions_unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

void mg_regions_forked(void)
{
	fork_number++;
	own_tid = 0; /* of the one thread that goes on */
	for (uint32_t i = 0; i < slots_used; i++)
		if (table[i].users != 0)
			table[i].users = 0;
}
