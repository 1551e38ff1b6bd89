/*
 * Known call chains for the stack walk. Each command ends where a signal walks the stack and prints
 * a frame a line: pc, module, offset, function, file:line, between tabs. A line that calls carries
 * the mark of its function, so that the test knows the number.
 *
 * usage: unwind-chains COMMAND [ARGUMENT]
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inspect.h"

#define APART __attribute__((noinline, noclone))

static struct mg_frame frames[MG_FRAMES_MAX];
static char stack_for_signals[1 << 18];
static volatile int sink;
static void *volatile nowhere;

static void compare_with_glibc(uint32_t count)
{
	void *theirs[MG_FRAMES_MAX * 2];
	int have = backtrace(theirs, MG_FRAMES_MAX * 2), at = 0;

	/* Its own frames stand before: this function, the handler, the signal's return. */
	while (at < have && (uint64_t)(uintptr_t)theirs[at] != frames[0].pc)
		at++;
	for (uint32_t i = 0; i < count; i++)
		if (at + (int)i >= have || (uint64_t)(uintptr_t)theirs[at + i] != frames[i].pc)
			printf("glibc differs at frame %u\n", i);
	if (have - at != (int)count)
		printf("glibc has %d frames\n", have - at);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
	uint32_t count = mg_unwind(context, frames, MG_FRAMES_MAX);

	(void)info;
	for (uint32_t i = 0; i < count; i++)
		printf("0x%lx\t%s\t0x%lx\t%s\t%s:%u\n", frames[i].pc, frames[i].module,
		       frames[i].module_offset, frames[i].function, frames[i].file, frames[i].line);
	if (number == SIGTRAP)
		compare_with_glibc(count);
	fflush(stdout);
	_exit(0);
}

APART void stop_here(void)
{
	__asm__ volatile("int3; nop" ::: "memory");
	sink++;
}

APART void inner(int n)
{
	stop_here(); /* inner */
	sink += n;
}

APART static void in_the_middle(int n)
{
	inner(n + 1); /* in_the_middle */
	sink += n;
}

APART void outer(int n)
{
	in_the_middle(n * 2); /* outer */
	sink += n;
}

APART void with_alloca(int n)
{
	volatile char *bytes = alloca((size_t)n * 100);

	bytes[0] = 1;
	inner(bytes[0]); /* with_alloca */
	sink += bytes[0];
}

/* A stack that is aligned by force has its frame described by an expression. */
APART void with_alignment(int n)
{
	volatile char bytes[64] __attribute__((aligned(64)));

	bytes[n] = 2;
	inner(bytes[n]); /* with_alignment */
	sink += bytes[n];
}

APART void with_a_tail_call(int n)
{
	sink += n;
	__asm__ volatile("" ::: "memory");
	return inner(n + 3); /* with_a_tail_call */
}

/* What calls a function that never returns ends with the call: its return address is behind it. */
APART _Noreturn void never_returns(int n)
{
	inner(n); /* never_returns */
	_exit(1);
}

APART void calls_the_last(int n)
{
	sink += n;
	never_returns(n); /* calls_the_last */
}

static int compare(const void *a, const void *b)
{
	if (*(const int *)a == 7 || *(const int *)b == 7)
		inner(7); /* compare */
	return *(const int *)a - *(const int *)b;
}

APART void through_qsort(int n)
{
	int values[] = { 5, 3, 7, 1, 9, n };

	qsort(values, 6, sizeof(int), compare); /* through_qsort */
	sink += values[0];
}

static void on_user_signal(int number)
{
	inner(number); /* on_user_signal */
	sink++;
}

APART void through_a_signal(int flags)
{
	struct sigaction action = { .sa_handler = on_user_signal, .sa_flags = flags };

	sigaction(SIGUSR1, &action, NULL);
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1); /* through_a_signal */
	sink++;
}

/* Faults in its first instruction: the pc, minus one, belongs to another function. */
__asm__(".text\n"
	".type before_the_first, @function\n"
	"before_the_first: .cfi_startproc\n push %rbp\n .cfi_def_cfa_offset 16\n ud2\n"
	".cfi_endproc\n .size before_the_first, . - before_the_first\n"
	".globl faults_at_once\n .type faults_at_once, @function\n"
	"faults_at_once: .cfi_startproc\n movl $1, (%rdi)\n ret\n"
	".cfi_endproc\n .size faults_at_once, . - faults_at_once\n");
void faults_at_once(void *memory);

APART void through_a_fault(void)
{
	struct sigaction action = { .sa_handler = on_user_signal };

	sigaction(SIGSEGV, &action, NULL);
	faults_at_once(nowhere); /* through_a_fault */
	sink++;
}

APART void fills_nothing(size_t bytes)
{
	memset(nowhere, (int)bytes, bytes); /* fills_nothing */
	sink++;
}

APART void calls_nowhere(int n)
{
	((void (*)(int))(uintptr_t)nowhere)(n); /* calls_nowhere */
	sink++;
}

APART void through_an_object(const char *path, int n)
{
	void *object = dlopen(path, RTLD_NOW);
	void (*call)(void (*)(int), int) = object == NULL ? NULL : dlsym(object, "in_an_object");

	if (call == NULL) {
		puts(dlerror());
		exit(1);
	}
	call(inner, n); /* through_an_object */
	sink++;
}

/* The object copied into a memfd: no file of that name is on any disk. */
APART void through_a_memfd(const char *path, int n)
{
	char bytes[4096], name[64];
	int from = open(path, O_RDONLY), to = memfd_create("made-here", 0);
	ssize_t got;

	while ((got = read(from, bytes, sizeof bytes)) > 0)
		if (write(to, bytes, (size_t)got) != got)
			exit(1);
	snprintf(name, sizeof name, "/proc/self/fd/%d", to);
	through_an_object(name, n); /* through_a_memfd */
	sink++;
}

/* push %rbp; mov %rsp, %rbp; call *%rsi; pop %rbp; ret: code that no table describes. */
APART void through_made_code(int n)
{
	static const uint8_t code[] = { 0x55, 0x48, 0x89, 0xe5, 0xff, 0xd6, 0x5d, 0xc3 };
	uint8_t *made = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memcpy(made, code, sizeof code);
	((void (*)(int, void (*)(int)))(uintptr_t)made)(n, inner); /* through_made_code */
	sink++;
}

APART int deep(int n)
{
	if (n == 0)
		stop_here();
	return n == 0 ? 0 : 1 + deep(n - 1) + sink; /* deep */
}

/* One frame: a function of the kernel's own object. */
static void name_the_vdso(void)
{
	void *object = dlopen("linux-vdso.so.1", RTLD_NOLOAD | RTLD_NOW);
	char *function = object == NULL ? NULL : dlsym(object, "__vdso_clock_gettime");

	if (function == NULL)
		exit(3);
	mg_symbol((uint64_t)(uintptr_t)function + 1, false, frames);
	printf("0x1\t%s\t0x0\t%s\t:0\n", frames->module, frames->function);
	exit(0);
}

static void run(const char *command, const char *argument, int n)
{
	if (strcmp(command, "plain") == 0)
		outer(n);
	else if (strcmp(command, "alloca") == 0)
		with_alloca(n);
	else if (strcmp(command, "alignment") == 0)
		with_alignment(n);
	else if (strcmp(command, "tail") == 0)
		with_a_tail_call(n);
	else if (strcmp(command, "noreturn") == 0)
		calls_the_last(n);
	else if (strcmp(command, "qsort") == 0)
		through_qsort(n);
	else if (strcmp(command, "signal") == 0)
		through_a_signal(0);
	else if (strcmp(command, "signal-stack") == 0)
		through_a_signal(SA_ONSTACK);
	else if (strcmp(command, "first") == 0)
		through_a_fault();
	else if (strcmp(command, "memset") == 0)
		fills_nothing((size_t)atoi(argument));
	else if (strcmp(command, "nowhere") == 0)
		calls_nowhere(n);
	else if (strcmp(command, "object") == 0)
		through_an_object(argument, n);
	else if (strcmp(command, "memfd") == 0)
		through_a_memfd(argument, n);
	else if (strcmp(command, "made") == 0)
		through_made_code(n);
	else if (strcmp(command, "vdso") == 0)
		name_the_vdso();
	else if (strcmp(command, "deep") == 0)
		deep(500);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	stack_t stack = { .ss_sp = stack_for_signals, .ss_size = sizeof stack_for_signals };

	mg_symbols_start();
	sigaltstack(&stack, NULL);
	sigaction(SIGTRAP, &action, NULL);
	action.sa_flags |= SA_ONSTACK;
	sigaction(SIGSEGV, &action, NULL);
	if (argc > 1)
		run(argv[1], argc > 2 ? argv[2] : "", argc); /* main */
	return 2;
}
