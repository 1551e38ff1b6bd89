/* A shared object for unwind-chains.c: one exported function, which calls through a static one. */
extern volatile int in_object_sink;
volatile int in_object_sink;

static __attribute__((noinline, noclone)) void hidden_in_an_object(void (*call)(int), int n)
{
	call(n + 1); /* hidden_in_an_object */
	in_object_sink++;
}

void in_an_object(void (*call)(int), int n)
{
	hidden_in_an_object(call, n); /* in_an_object */
	in_object_sink++;
}
