/* The process and its threads: CPU time, and the CPUs that a thread may run on. */
#include "millrace.h"

#include <sched.h>
#include <sys/resource.h>

/* The kernel refuses a mask shorter than its own; 8,192 CPUs is the most that Linux supports. */
#define CPU_COUNT_MAX 8192
#define CPU_WORD_BITS (8 * sizeof(unsigned long))

static napi_value cpu_us(napi_env env, int who)
{
	struct rusage usage;

	if (getrusage(who, &usage) == -1)
		return result(env, -1);
	return result_number(env,
			     ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec) * 1e6 +
				     (double)usage.ru_utime.tv_usec +
				     (double)usage.ru_stime.tv_usec);
}

/* processCpuUs(): user + system time of all threads, also of those that ended */
static napi_value process_cpu_us(napi_env env, napi_callback_info info)
{
	(void)info;
	return cpu_us(env, RUSAGE_SELF);
}

/* threadCpuUs(): user + system time of the calling thread */
static napi_value thread_cpu_us(napi_env env, napi_callback_info info)
{
	(void)info;
	return cpu_us(env, RUSAGE_THREAD);
}

/* schedSetAffinity(threadId or 0, Int32Array of CPU indexes, count) */
static napi_value set_affinity(napi_env env, napi_callback_info info)
{
	unsigned long mask[CPU_COUNT_MAX / CPU_WORD_BITS] = {0};
	napi_value args[3];
	int32_t *cpus;
	int tid, count;

	if (!read_args(env, info, args, 3) ||
	    !arg_int(env, args[0], "threadId", 0, INT32_MAX, &tid) ||
	    !arg_words(env, args + 1, 1, CPU_COUNT_MAX, &cpus, &count))
		return NULL;
	for (int i = 0; i < count; i++) {
		/* Read once: the array may be shared with a thread that changes it. */
		int32_t cpu = __atomic_load_n(&cpus[i], __ATOMIC_RELAXED);

		if (cpu < 0 || cpu >= CPU_COUNT_MAX)
			return result_number(env, -EINVAL);
		mask[(size_t)cpu / CPU_WORD_BITS] |= 1UL << ((size_t)cpu % CPU_WORD_BITS);
	}
	return result(env, sched_setaffinity(tid, sizeof(mask), (const cpu_set_t *)mask));
}

/* schedGetAffinity(threadId or 0, Int32Array, count): how many CPU indexes were written */
static napi_value get_affinity(napi_env env, napi_callback_info info)
{
	unsigned long mask[CPU_COUNT_MAX / CPU_WORD_BITS] = {0};
	int tid, count, found = 0;
	napi_value args[3];
	int32_t *cpus;

	if (!read_args(env, info, args, 3) ||
	    !arg_int(env, args[0], "threadId", 0, INT32_MAX, &tid) ||
	    !arg_words(env, args + 1, 1, CPU_COUNT_MAX, &cpus, &count))
		return NULL;
	if (sched_getaffinity(tid, sizeof(mask), (cpu_set_t *)mask) == -1)
		return result(env, -1);
	for (int cpu = 0; cpu < CPU_COUNT_MAX && found < count; cpu++)
		if (mask[(size_t)cpu / CPU_WORD_BITS] >> ((size_t)cpu % CPU_WORD_BITS) & 1)
			cpus[found++] = cpu;
	return result(env, found);
}

/* currentCpu(): the CPU that the calling thread ran on a moment ago; from the vDSO, no trap */
static napi_value current_cpu(napi_env env, napi_callback_info info)
{
	(void)info;
	return result(env, sched_getcpu());
}

/* yieldCpu(): whoever else waits for this CPU has it first */
static napi_value yield_cpu(napi_env env, napi_callback_info info)
{
	(void)info;
	return result(env, sched_yield());
}

const struct native_function PROCESS_FUNCTIONS[] = {
	{"processCpuUs", process_cpu_us},
	{"threadCpuUs", thread_cpu_us},
	{"schedSetAffinity", set_affinity},
	{"schedGetAffinity", get_affinity},
	{"currentCpu", current_cpu},
	{"yieldCpu", yield_cpu},
	{NULL, NULL},
};
