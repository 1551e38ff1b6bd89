/*
 * Hardware watchpoints, from C: one scenario a run. Facts go to stdout, one a line; the reports, as
 * JSON, to the file in $REPORT. "unavailable" where the machine offers none.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core.h"

#define THREADS 6

static char bytes[4096] __attribute__((aligned(4096)));
static sem_t ready, go;
static pthread_barrier_t birth;

static __attribute__((noinline)) void write_one(size_t at)
{
	*(volatile char *)(bytes + at) = 9;
}

static __attribute__((noinline)) void write_four(size_t at)
{
	*(volatile uint32_t *)(void *)(bytes + at) = 0x04030201;
}

static __attribute__((noinline)) char read_one(size_t at)
{
	return *(volatile char *)(bytes + at);
}

static __attribute__((noinline)) void fill(size_t at, size_t count)
{
	void *to = bytes + at;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(7) : "memory");
}

static void say(const char *what, long value)
{
	printf("%s %ld\n", what, value);
	fflush(stdout);
}

static int watch(size_t at, size_t count, int reads, enum mg_mode mode)
{
	struct mg_options options = { .label = "word", .mode = mode };
	int id = mg_watch(bytes + at, count, reads, &options);

	if (id == -EPERM || id == -EACCES || id == -ENOENT || id == -ENODEV ||
	    id == -EOPNOTSUPP || id == -ENOSYS) {
		printf("unavailable: %s\n", mg_problem());
		exit(0);
	}
	return id;
}

static void pieces(void)
{
	int first = watch(3, 5, 0, MG_CONTINUE); /* 1 + 4 */

	say("first", first > 0);
	say("second", watch(17, 7, 0, MG_CONTINUE)); /* 1 + 2 + 4 */
	printf("%s\n", mg_problem());
	say("third", watch(24, 8, 0, MG_CONTINUE) > 0);
	say("fourth", watch(40, 1, 0, MG_CONTINUE) > 0);
	say("fifth", watch(41, 1, 0, MG_CONTINUE));
	say("end", mg_watch_end(first));
	say("end again", mg_watch_end(first));
	say("two are free", watch(50, 2, 0, MG_CONTINUE) > 0);
	say("32 bytes", watch(64, 32, 0, MG_CONTINUE));
	say("33 bytes", watch(64, 33, 0, MG_CONTINUE));
	say("no bytes", watch(64, 0, 0, MG_CONTINUE));
	say("divert", mg_watch(bytes, 1, 0, &(struct mg_options){ .mode = MG_DIVERT }));
}

static void edges(void)
{
	watch(101, 3, 0, MG_CONTINUE);
	write_one(100);
	write_one(104);
	write_four(96);
	write_four(104);
	read_one(102);
	say("silent", 1);
	write_one(101);
	write_one(103);
	write_one(103); /* the same value */
	write_four(98); /* overlaps its first byte */
	fill(90, 11);
	fill(104, 11);
	write_one(102);
}

static void *early(void *nothing)
{
	sem_post(&ready);
	sem_wait(&go);
	write_one(200);
	return nothing;
}

static void *late(void *nothing)
{
	write_one(200);
	return nothing;
}

static void threads(void)
{
	pthread_t each[THREADS];
	int id;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&each[i], NULL, early, NULL);
	for (int i = 0; i < THREADS; i++)
		sem_wait(&ready);
	id = watch(200, 1, 0, MG_CONTINUE);
	for (int i = 0; i < THREADS; i++)
		sem_post(&go);
	for (int i = 0; i < THREADS; i++)
		pthread_join(each[i], NULL);
	for (int i = 0; i < THREADS; i++) {
		pthread_create(&each[i], NULL, late, NULL);
		pthread_join(each[i], NULL);
	}
	say("end", mg_watch_end(id));
	pthread_create(&each[0], NULL, late, NULL);
	pthread_join(each[0], NULL);
	write_one(200);
}

static void *breeder(void *left)
{
	pthread_t child;

	if ((size_t)left == 0) {
		pthread_barrier_wait(&birth); /* the watch stands */
		write_one(300);
		write_one(305);
		return NULL;
	}
	pthread_create(&child, NULL, breeder, (void *)((size_t)left - 1));
	pthread_join(child, NULL);
	return NULL;
}

/* Threads are born while the watch comes: each has all of its pieces, and none of them twice. */
static void births(void)
{
	pthread_t each[THREADS];
	int full;

	pthread_barrier_init(&birth, NULL, THREADS + 1);
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&each[i], NULL, breeder, (void *)(5 + 3 * i));
	say("watch", watch(300, 6, 0, MG_CONTINUE) > 0); /* 4 + 2 */
	full = watch(400, 8, 0, MG_CONTINUE);
	say("third piece", full > 0);
	say("fourth piece", watch(408, 8, 0, MG_CONTINUE) > 0);
	pthread_barrier_wait(&birth);
	for (int i = 0; i < THREADS; i++)
		pthread_join(each[i], NULL);
}

/* A write that goes on by a step, or in our handler, is in the region's report and the watch's. */
static void steps(unsigned flags)
{
	struct mg_options options = { .label = "page", .mode = MG_CONTINUE, .flags = flags };
	char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int region = mg_region(memory, 4096, &options, NULL);

	options.flags = 0;
	options.label = "word";
	if (region < 0 || mg_watch(memory + 8, 4, 0, &options) < 0 ||
	    mg_protect(region, 0, 4096, 0) < 0) {
		printf("unavailable: %s\n", mg_problem());
		exit(0);
	}
	*(volatile uint32_t *)(void *)(memory + 8) = 5;
	__atomic_fetch_add((uint32_t *)(void *)(memory + 8), 1, __ATOMIC_SEQ_CST);
	memory[20] = 1;
	say("value", *(volatile uint32_t *)(void *)(memory + 8));
	say("end", mg_region_end(region));
	*(volatile uint32_t *)(void *)(memory + 8) = 7;
}

int main(int count, char **words)
{
	const char *name = count > 1 ? words[1] : "";

	sem_init(&ready, 0, 0);
	sem_init(&go, 0, 0);
	if (mg_start() < 0 || mg_report_file(getenv("REPORT")) < 0) {
		printf("refused: %s\n", mg_problem());
		return 1;
	}
	if (strcmp(name, "pieces") == 0) {
		pieces();
	} else if (strcmp(name, "edges") == 0) {
		edges();
	} else if (strcmp(name, "threads") == 0) {
		threads();
	} else if (strcmp(name, "births") == 0) {
		births();
	} else if (strcmp(name, "steps") == 0) {
		steps(0);
	} else if (strcmp(name, "steps-alias") == 0) {
		steps(MG_ALIAS);
	} else if (strcmp(name, "reads") == 0) {
		watch(500, 1, 1, MG_CONTINUE);
		read_one(501);
		read_one(500);
		write_one(500);
	} else if (strcmp(name, "report") == 0) {
		watch(500, 1, 0, MG_REPORT);
		write_one(500);
		say("survived", 1);
	}
	return 0;
}
