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
 *             of anything: it reads stale but mapped memory, and mg_region_at() asked again tells.
 * ORDER       Closing: first the state, then mprotect. Opening: first mprotect, then the state. So
 *             whoever faults on our account finds a state that is not MG_PAGE_OPEN.
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
#define ADDRESS_END (1ul << (12 + NODE_BITS + NODE_BITS + ROOT_BITS))
#define POOL_BYTES (1ul << 30)
#define POOL_BYTES_LEAST (1ul << 26) /* where address space is scarce */
#define EPOCH_MASK 0x7fffu
#define SLOT_MASK 0xffffu

struct leaf {
	_Atomic uint32_t slot[NODE_SIZE]; /* slot + 1, 0: nobody's page */
};
struct branch {
	_Atomic(struct leaf *) leaf[NODE_SIZE];
};

static _Atomic(struct branch *) root[1u << ROOT_BITS];
static struct mg_region *table;
static uint32_t slots_used;  /* never taken before: from here on */
static uint32_t first_free;  /* slot + 1 of the list of free slots */
static uint32_t *next_free;
static uint8_t *pool;
static uint64_t pool_bytes, pool_used;
static void *free_history[64]; /* by log2 of the bytes; the first word links */
static _Atomic uint32_t regions; /* that exist */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

struct mg_region *mg_region_at(uint64_t address)
{
	uint64_t page = address / MG_PAGE;
	struct branch *branch;
	struct leaf *leaf;
	uint32_t slot;

	if (address >= ADDRESS_END)
		return NULL;
	branch = atomic_load_explicit(&root[page >> (2 * NODE_BITS)], memory_order_acquire);
	if (branch == NULL)
		return NULL;
	leaf = atomic_load_explicit(&branch->leaf[(page >> NODE_BITS) & (NODE_SIZE - 1)],
				    memory_order_acquire);
	if (leaf == NULL)
		return NULL;
	slot = atomic_load_explicit(&leaf->slot[page & (NODE_SIZE - 1)], memory_order_acquire);
	return slot == 0 ? NULL : &table[slot - 1];
}

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
		return pool_take(1ul << class); /* fresh memory is zero */
	free_history[class] = *chunk;
	memset(chunk, 0, count * sizeof(struct mg_page));
	return (struct mg_page *)chunk;
}

static void history_give(struct mg_page *pages, uint64_t count)
{
	unsigned class = size_class(count * sizeof(*pages));

	*(void **)pages = free_history[class];
	free_history[class] = pages;
}

static _Atomic uint32_t *tree_word(uint64_t page)
{
	_Atomic(struct branch *) *top = &root[page >> (2 * NODE_BITS)];
	struct branch *branch = atomic_load(top);
	_Atomic(struct leaf *) *middle;
	struct leaf *leaf;

	if (branch == NULL) {
		branch = pool_take(sizeof(*branch));
		if (branch == NULL)
			return NULL;
		atomic_store(top, branch);
	}
	middle = &branch->leaf[(page >> NODE_BITS) & (NODE_SIZE - 1)];
	leaf = atomic_load(middle);
	if (leaf == NULL) {
		leaf = pool_take(sizeof(*leaf));
		if (leaf == NULL)
			return NULL;
		atomic_store(middle, leaf);
	}
	return &leaf->slot[page & (NODE_SIZE - 1)];
}

/* Under the mutex. Undoes itself when the pool ends. */
static int tree_set(uint64_t start, uint64_t bytes, uint32_t value)
{
	for (uint64_t page = start / MG_PAGE; page < (start + bytes) / MG_PAGE; page++) {
		_Atomic uint32_t *word = tree_word(page);

		if (word == NULL) {
			tree_set(start, page * MG_PAGE - start, 0);
			return mg_fail(ENOMEM, "the guard's own memory (1 GiB) is used up");
		}
		atomic_store(word, value);
	}
	return 0;
}

int mg_regions_start(void)
{
	table = mg_own_map(MG_REGIONS_MAX * sizeof(*table));
	next_free = mg_own_map(MG_REGIONS_MAX * sizeof(*next_free));
	pool_bytes = POOL_BYTES;
	pool = mg_own_map(pool_bytes);
	if (pool == NULL) {
		pool_bytes = POOL_BYTES_LEAST;
		pool = mg_own_map(pool_bytes);
	}
	if (table == NULL || next_free == NULL || pool == NULL)
		return mg_fail(ENOMEM, "no address space for the guard's own tables");
	return 0;
}

struct mg_region *mg_region_of(int id)
{
	struct mg_region *region;

	if (id <= 0 || table == NULL)
		return NULL;
	region = &table[(uint32_t)id & SLOT_MASK];
	return atomic_load(&region->id) == id ? region : NULL;
}

static int check_new(uint64_t start, uint64_t bytes, const struct mg_options *options)
{
	if (start + bytes > ADDRESS_END)
		return mg_fail(EINVAL, "the memory lies outside of the user's address space");
	if (mg_is_own(start, bytes))
		return mg_fail(EINVAL, "the memory belongs to the guard itself");
	if ((options->flags & MG_NO_READ) && options->mode == MG_CONTINUE)
		return mg_fail(EOPNOTSUPP, "reads cannot be reported in the mode `continue`");
	if ((options->flags & MG_ALIAS) && options->mode != MG_CONTINUE)
		return mg_fail(EOPNOTSUPP, "an alias serves the mode `continue` alone");
	for (uint64_t at = start; at < start + bytes; at += MG_PAGE)
		if (mg_region_at(at) != NULL)
			return mg_fail(EEXIST, "a page of it belongs to another region already");
	return 0;
}

/* Under the mutex: a free slot, or NULL. */
static struct mg_region *slot_take(void)
{
	struct mg_region *region;

	if (first_free != 0) {
		region = &table[first_free - 1];
		first_free = next_free[first_free - 1];
		return region;
	}
	return slots_used == MG_REGIONS_MAX ? NULL : &table[slots_used++];
}

static void slot_give(struct mg_region *region)
{
	uint32_t slot = (uint32_t)(region - table);

	next_free[slot] = first_free;
	first_free = slot + 1;
}

static void region_fill(struct mg_region *region, enum mg_region_kind kind,
			const struct mg_options *options)
{
	region->kind = kind;
	region->mode = options->mode;
	region->flags = options->flags;
	region->alias = region->scratch = 0;
	atomic_store(&region->allowed, 0);
	atomic_store(&region->faults, 0);
	strncpy(region->label, options->label == NULL ? "" : options->label,
		sizeof(region->label) - 1);
	strncpy(region->allow, options->allow == NULL ? "" : options->allow,
		sizeof(region->allow) - 1);
}

static int region_backing(struct mg_region *region)
{
	int error = 0;

	if (region->flags & MG_ALIAS)
		error = mg_alias_make(region);
	if (error >= 0 && region->mode == MG_DIVERT)
		error = mg_scratch_make(region);
	return error < 0 ? error : 0;
}

/* Under the mutex. The bounds are filled. */
static int region_insert(struct mg_region *region, enum mg_region_kind kind,
			 const struct mg_options *options)
{
	uint32_t slot = (uint32_t)(region - table);
	int error;

	region->pages = history_take(region->bytes / MG_PAGE);
	if (region->pages == NULL)
		return mg_fail(ENOMEM, "the guard's own memory (1 GiB) is used up");
	region_fill(region, kind, options);
	error = region_backing(region);
	if (error == 0)
		error = tree_set(region->start, region->bytes, slot + 1);
	if (error != 0) {
		history_give(region->pages, region->bytes / MG_PAGE);
		return error;
	}
	region->epoch = (region->epoch + 1) & EPOCH_MASK;
	region->epoch += region->epoch == 0;
	atomic_store(&region->id, (int)(region->epoch << 16 | slot));
	return 0;
}

int mg_region_make(uint64_t address, uint64_t bytes, enum mg_region_kind kind,
		   const struct mg_options *options, struct mg_extent *extent)
{
	uint64_t start = (address + MG_PAGE - 1) & ~(MG_PAGE - 1);
	uint64_t end = (address + bytes) & ~(MG_PAGE - 1);
	struct mg_region *region;
	int error;

	if (table == NULL)
		return mg_fail(EINVAL, "mg_start() has not been called");
	if (address + bytes < address || end <= start) {
		*extent = (struct mg_extent){0, 0};
		return mg_fail(EINVAL, "no whole page lies inside of the memory given");
	}
	*extent = (struct mg_extent){start - address, end - start};
	pthread_mutex_lock(&mutex);
	error = mg_handlers_install();
	if (error == 0)
		error = check_new(start, end - start, options);
	region = error == 0 ? slot_take() : NULL;
	if (error == 0 && region == NULL)
		error = mg_fail(ENOSPC, "65536 regions exist already");
	if (region != NULL) {
		region->start = start;
		region->bytes = end - start;
		region->given = address;
		region->given_bytes = bytes;
		error = region_insert(region, kind, options);
		if (error != 0)
			slot_give(region);
	}
	regions += error == 0;
	pthread_mutex_unlock(&mutex);
	if (error != 0)
		return error;
	mg_service_start();
	return atomic_load(&region->id);
}

int mg_region(void *address, size_t bytes, const struct mg_options *options,
	      struct mg_extent *extent)
{
	struct mg_extent ignored;

	return mg_region_make((uint64_t)address, bytes, MG_KIND_VIEW, options,
			      extent == NULL ? &ignored : extent);
}

void mg_page_claim(struct mg_page *page)
{
	while (atomic_exchange_explicit(&page->busy, 1, memory_order_acquire) != 0)
		sched_yield();
}

void mg_page_release(struct mg_page *page)
{
	atomic_store_explicit(&page->busy, 0, memory_order_release);
}

static int change_pages(struct mg_region *region, uint64_t start, uint64_t bytes,
			enum mg_page_state state)
{
	static const int PROTECTION[] = {PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE};

	if ((region->flags & MG_SYSCALLS) && state != MG_PAGE_CLOSED)
		return mg_uffd_protect(region, start, bytes, state == MG_PAGE_PROTECTED);
	if (mprotect((void *)start, bytes, PROTECTION[state]) == 0)
		return 0;
	if (errno == ENOMEM)
		return mg_fail(ENOMEM, "the memory is not mapped any more, or the limit of "
				       "mappings (vm.max_map_count) is reached");
	return mg_fail(errno, "the kernel refused to change the protection of the memory");
}

int mg_set_state(struct mg_region *region, uint64_t first_page, uint64_t count,
		 enum mg_page_state state, uint32_t generation)
{
	struct mg_page *pages = region->pages + first_page;
	uint64_t now = mg_now_ns(true);
	int32_t tid = mg_tid();
	int error;

	for (uint64_t i = 0; i < count; i++) {
		mg_page_claim(&pages[i]);
		if (state == MG_PAGE_OPEN)
			continue;
		pages[i].generation = generation;
		pages[i].slice_first = (uint32_t)first_page;
		pages[i].slice_count = (uint32_t)count;
		pages[i].protect_ns = now;
		pages[i].protect_tid = tid;
		if (atomic_load(&pages[i].state) < state)
			atomic_store(&pages[i].state, state);
	}
	error = change_pages(region, region->start + first_page * MG_PAGE, count * MG_PAGE, state);
	for (uint64_t i = 0; i < count; i++) {
		if (error == 0 || state != MG_PAGE_OPEN)
			atomic_store(&pages[i].state, error == 0 ? state : MG_PAGE_OPEN);
		if (state == MG_PAGE_OPEN) {
			pages[i].unprotect_ns = now;
			pages[i].unprotect_tid = tid;
		}
		mg_page_release(&pages[i]);
	}
	return error;
}

/* Counts the caller in, so that the region cannot end meanwhile. */
static struct mg_region *region_enter(int id)
{
	struct mg_region *region;

	if (id <= 0 || table == NULL)
		return NULL;
	region = &table[(uint32_t)id & SLOT_MASK];
	atomic_fetch_add(&region->users, 1);
	if (atomic_load(&region->id) == id)
		return region;
	atomic_fetch_sub(&region->users, 1);
	return NULL;
}

static int toggle(int id, size_t offset, size_t bytes, bool is_on, uint32_t generation)
{
	struct mg_region *region = region_enter(id);
	uint64_t first, end;
	int error = 0;

	if (region == NULL)
		return mg_fail(ENOENT, "there is no such region (any more)");
	if (offset > region->given_bytes || bytes > region->given_bytes - offset) {
		error = mg_fail(ERANGE, "the slice lies outside of the region's memory");
	} else {
		first = (region->given + offset + MG_PAGE - 1) & ~(MG_PAGE - 1);
		end = (region->given + offset + bytes) & ~(MG_PAGE - 1);
		if (end > first)
			error = mg_set_state(region, (first - region->start) / MG_PAGE,
					     (end - first) / MG_PAGE,
					     !is_on ? MG_PAGE_OPEN
					     : region->flags & MG_NO_READ ? MG_PAGE_CLOSED
									  : MG_PAGE_PROTECTED,
					     generation);
	}
	atomic_fetch_sub(&region->users, 1);
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

int mg_region_end(int id)
{
	struct mg_region *region = mg_region_of(id);
	uint64_t count;
	int wanted = id;

	if (region == NULL || !atomic_compare_exchange_strong(&region->id, &wanted, 0))
		return mg_fail(ENOENT, "there is no such region (any more)");
	while (atomic_load(&region->users) != 0)
		sched_yield();
	count = region->bytes / MG_PAGE;
	/* The memory may be gone by now: that is an end as well. */
	mg_set_state(region, 0, count, MG_PAGE_OPEN, 0);
	pthread_mutex_lock(&mutex);
	tree_set(region->start, region->bytes, 0);
	mg_alias_end(region);
	mg_scratch_end(region);
	history_give(region->pages, count);
	slot_give(region);
	regions--;
	pthread_mutex_unlock(&mutex);
	return 0;
}

uint32_t mg_region_count(void)
{
	return atomic_load(&regions);
}

void mg_regions_lock(bool is_lock)
{
	if (is_lock)
		pthread_mutex_lock(&mutex);
	else
		pthread_mutex_unlock(&mutex);
}
