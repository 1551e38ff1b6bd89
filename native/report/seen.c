/*
 * Who wrote what how often: a table of distinct culprits, for regions whose writers are many and
 * legitimate (MG_ONCE: the first write of each culprit is reported, the others are counted).
 *
 * WHY      a foreign program writes into its own memory all the time: a report a write would bury
 *          the one that matters, and its stack is the same.
 * KEY      label, function, file, line and column of the culprit; where no line is known, the
 *          address. Not the pc: all interpreted JavaScript shares that of a bytecode handler. Not
 *          the region: a thousand buffers made by one line are one thing to the reader.
 * HANDLER  one compare-and-swap claims an entry, its strings are written by the claimer alone,
 *          others look when is_filled. Of two threads with one new culprit one reports.
 * REFUSED  growth: what finds no entry of its own is counted in the last one, without a report.
 */
#include <stdatomic.h>

#include "report.h"

#define SEEN_REST (MG_SEEN_MAX - 1)

static struct mg_seen seen_table[MG_SEEN_MAX];

HANDLER static uint64_t hash_number(uint64_t hash, uint64_t number)
{
	hash = (hash ^ number) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

HANDLER static uint64_t hash_text(uint64_t hash, const char *text)
{
	while (*text != '\0')
		hash = (hash ^ (uint8_t)*text++) * 0x100000001b3ull;
	return hash_number(hash, 0xff); /* "ab", "c" is not "a", "bc" */
}

HANDLER static void copy_text(char *target, size_t bytes, const char *text)
{
	size_t i = 0;

	for (; i + 1 < bytes && text[i] != '\0'; i++)
		target[i] = text[i];
	target[i] = '\0';
}

HANDLER static const struct mg_frame *culprit_of(const struct mg_event *event)
{
	return event->culprit < event->frame_count ? &event->frames[event->culprit] : NULL;
}

HANDLER static uint64_t key_of(const struct mg_event *event)
{
	const struct mg_frame *frame = culprit_of(event);
	uint64_t hash = hash_text(0xcbf29ce484222325ull, event->label != NULL ? event->label : "");

	if (frame == NULL)
		return hash_number(hash, event->pc) | 1;
	hash = hash_text(hash_text(hash, frame->function), frame->file);
	hash = hash_number(hash_number(hash, frame->line), frame->column);
	return (frame->line == 0 ? hash_number(hash, frame->pc) : hash) | 1; /* 0: free entry */
}

HANDLER static void fill(struct mg_seen *seen, const struct mg_event *event)
{
	const struct mg_frame *frame = culprit_of(event);

	copy_text(seen->label, sizeof seen->label, event->label != NULL ? event->label : "");
	if (frame != NULL) {
		copy_text(seen->function, sizeof seen->function, frame->function);
		copy_text(seen->file, sizeof seen->file,
			  frame->file[0] != '\0' ? frame->file : frame->module);
		seen->line = frame->line;
		seen->column = frame->column;
		seen->module_offset = frame->module_offset;
	}
	atomic_store_explicit(&seen->is_filled, 1, memory_order_release);
}

/* Counts the write; whether its culprit has written to memory of this label before. */
HANDLER bool mg_seen_before(const struct mg_event *event, uint32_t *index)
{
	uint64_t key = key_of(event);

	for (uint32_t i = 0; i < SEEN_REST; i++) {
		struct mg_seen *seen = &seen_table[(key + i) % SEEN_REST];
		uint64_t found = 0;

		*index = (uint32_t)(seen - seen_table);
		if (atomic_compare_exchange_strong(&seen->key, &found, key)) {
			atomic_fetch_add(&seen->count, 1);
			fill(seen, event);
			return false;
		}
		if (found == key) {
			atomic_fetch_add(&seen->count, 1);
			return true;
		}
	}
	*index = SEEN_REST;
	mg_seen_again(SEEN_REST);
	return true;
}

HANDLER void mg_seen_again(uint32_t index)
{
	atomic_fetch_add(&seen_table[index].count, 1);
}

const struct mg_seen *mg_seen_at(uint32_t index)
{
	if (index == SEEN_REST && atomic_load(&seen_table[SEEN_REST].count) > 0)
		return &seen_table[SEEN_REST];
	if (index >= MG_SEEN_MAX ||
	    atomic_load_explicit(&seen_table[index].is_filled, memory_order_acquire) == 0)
		return NULL;
	return &seen_table[index];
}
