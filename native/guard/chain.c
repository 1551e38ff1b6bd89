/*
 * Who handled our signals before, and how they are called: as the kernel would have.
 *
 * OTHERS      may install a handler above ours. Each new region looks; ours is put on top again
 *             and theirs becomes the one below. Theirs may call ours (it found us there), so there
 *             are levels: the kernel's own calls start at the top, a call by the handler of a level
 *             goes on one level further down. There is no circle. The kernel's calls are told from
 *             others by the return address, which is the C library's restorer.
 * DIFFERENT   from being called by the kernel: the stack (ours, where the thread has one), and that
 *             a handler which longjmps away leaves ours below it on that stack.
 * SIG_DFL     and SIG_IGN for a fault: the default is set and the instruction faults again, so the
 *             core dump has the registers of the culprit. Signals that were sent are sent again.
 */
#include "core.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OLDER_MAX 8

/* The first three are handled, none of them is held back: they are synchronous. */
static const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGTRAP, SIGILL, SIGFPE, SIGABRT};
#define SIGNAL_COUNT 3

/* What was installed before ours, the oldest first. */
static struct older {
	struct sigaction action[OLDER_MAX];
	_Atomic uint32_t count;
} older_of[SIGNAL_COUNT];

static void *restorer; /* where a handler that the kernel called returns to */

static struct older *older(int signal)
{
	return &older_of[signal == SIGSEGV ? 0 : signal == SIGBUS ? 1 : 2];
}

void mg_set_default(int signal)
{
	struct sigaction action = {.sa_handler = SIG_DFL};

	sigaction(signal, &action, NULL);
}

void mg_die_by(int signal)
{
	sigset_t only;

	mg_set_default(signal);
	sigemptyset(&only);
	sigaddset(&only, signal);
	sigprocmask(SIG_UNBLOCK, &only, NULL);
	syscall(SYS_tgkill, getpid(), mg_tid(), signal);
}

uint32_t mg_chain_level(struct mg_thread *thread, const void *return_address)
{
	if (thread == NULL || thread->chain == 0)
		return MG_CHAIN_TOP;
	if (return_address != restorer)
		return thread->chain - 1;
	thread->chain = 0; /* an older handler left by longjmp */
	return MG_CHAIN_TOP;
}

/* Calls one of the handlers that were there before, as the kernel would have called it (but on the
   stack that we are on). When it returns, the thread may go on. */
void mg_chain(struct mg_thread *thread, int signal, siginfo_t *info, ucontext_t *context,
	      uint32_t level)
{
	struct older *list = older(signal);
	uint32_t count = atomic_load(&list->count);
	struct sigaction *slot;
	struct sigaction action = {.sa_handler = SIG_DFL};
	uint32_t before = thread == NULL ? 0 : thread->chain;
	sigset_t mask, kept;

	level = level < count ? level : count;
	slot = level == 0 ? NULL : &list->action[level - 1];
	if (slot != NULL)
		action = *slot;
	if (action.sa_handler == SIG_IGN && info->si_code <= 0)
		return;
	if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) {
		/* A fault comes back by itself, with the registers of the culprit in the dump. */
		if (info->si_code > 0 && signal != SIGTRAP)
			return mg_set_default(signal);
		return mg_die_by(signal);
	}
	if (action.sa_flags & SA_RESETHAND)
		slot->sa_handler = SIG_DFL;
	sigorset(&mask, &context->uc_sigmask, &action.sa_mask);
	if (!(action.sa_flags & SA_NODEFER))
		sigaddset(&mask, signal);
	sigprocmask(SIG_SETMASK, &mask, &kept);
	if (thread != NULL) {
		thread->chain = level;
		/* What happens in there, or after a jump out of it, is no fault of ours. */
		atomic_store(&thread->depth, 0);
		atomic_store(&thread->entered_ns, 0);
	}
	if (action.sa_flags & SA_SIGINFO)
		action.sa_sigaction(signal, info, context);
	else
		action.sa_handler(signal);
	if (thread != NULL)
		thread->chain = before;
	sigprocmask(SIG_SETMASK, &kept, NULL);
}

/* Puts ours on top; what is there, unless it is known, becomes the one below. */
int mg_handlers_install(void)
{
	struct sigaction ours = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART};
	struct { void *handler; unsigned long flags; void *restorer; uint64_t mask; } kernels = {0};

	ours.sa_sigaction = mg_on_signal;
	sigfillset(&ours.sa_mask);
	for (size_t i = 0; i < sizeof SIGNALS / sizeof SIGNALS[0]; i++)
		sigdelset(&ours.sa_mask, SIGNALS[i]);
	for (size_t i = 0; i < SIGNAL_COUNT; i++) {
		struct older *list = &older_of[i];
		uint32_t count = atomic_load(&list->count), known = 0;
		struct sigaction found;

		sigaction(SIGNALS[i], NULL, &found);
		if (found.sa_sigaction == mg_on_signal)
			continue;
		while (known < count && list->action[known].sa_sigaction != found.sa_sigaction)
			known++;
		if (known == OLDER_MAX)
			return mg_fail(EBUSY, "too many other handlers of SIGSEGV");
		if (known == count) {
			list->action[known] = found;
			atomic_store(&list->count, count + 1);
		}
		sigaction(SIGNALS[i], &ours, NULL);
	}
	syscall(SYS_rt_sigaction, SIGSEGV, NULL, &kernels, 8);
	restorer = kernels.restorer;
	return 0;
}

