/*
 * Instructions of every class that stores, with random registers, addresses and memory: run on open
 * memory, then on guarded memory, and all that they leave behind is compared.
 * usage: property continue|alias|divert SEED COUNT
 *
 * The forms address their memory through rdi, rbx, r13 and r14, r15, rsp, or relative to rip; see
 * set_registers(). Each ends with a jump to where cpu_run() saves the registers again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core.h"

#define PAGES 4
#define MARGIN (2 * MG_PAGE) /* before and after the region, compared as well */
#define DATA_BYTES (PAGES * MG_PAGE)

struct cpu { /* the order is known to cpu_run() */
	uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, flags;
	uint8_t xmm[16][32];
};

struct form {
	void *code;
	const char *text;
};

uint8_t memory[MARGIN + DATA_BYTES + MARGIN] __attribute__((aligned(4096)));
#define data (memory + MARGIN)
struct cpu cpu; /* of cpu_run() */
uint64_t kept_rsp;
void cpu_run(void *code);

__asm__(".text\n.globl cpu_run\ncpu_run:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rdi\n"
	"mov %rsp, kept_rsp(%rip)\n"
	"lea cpu(%rip), %r15\n"
	".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"vmovdqu 136+32*\\n(%r15), %ymm\\n\n"
	".endr\n"
	"push 128(%r15); popf\n"
	"mov (%r15), %rax; mov 8(%r15), %rcx; mov 16(%r15), %rdx; mov 24(%r15), %rbx\n"
	"mov 40(%r15), %rbp; mov 48(%r15), %rsi; mov 56(%r15), %rdi; mov 64(%r15), %r8\n"
	"mov 72(%r15), %r9; mov 80(%r15), %r10; mov 88(%r15), %r11; mov 96(%r15), %r12\n"
	"mov 104(%r15), %r13; mov 112(%r15), %r14\n"
	"mov (%rsp), %r15; mov %r15, jump_target(%rip)\n"
	"lea cpu(%rip), %r15; mov 32(%r15), %rsp; mov 120(%r15), %r15\n"
	"jmp *jump_target(%rip)\n"
	".globl cpu_back\ncpu_back:\n"
	"mov %r15, 120+cpu(%rip); mov %rsp, 32+cpu(%rip); mov kept_rsp(%rip), %rsp\n"
	"lea cpu(%rip), %r15\n"
	"mov %rax, (%r15); mov %rcx, 8(%r15); mov %rdx, 16(%r15); mov %rbx, 24(%r15)\n"
	"mov %rbp, 40(%r15); mov %rsi, 48(%r15); mov %rdi, 56(%r15); mov %r8, 64(%r15)\n"
	"mov %r9, 72(%r15); mov %r10, 80(%r15); mov %r11, 88(%r15); mov %r12, 96(%r15)\n"
	"mov %r13, 104(%r15); mov %r14, 112(%r15)\n"
	"pushf; pop 128(%r15); cld\n"
	".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"vmovdqu %ymm\\n, 136+32*\\n(%r15)\n"
	".endr\n"
	"vzeroupper; pop %rdi; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n"
	".data\njump_target: .quad 0\n.text\n");

/* A table of forms, each with its text. */
#define FORM(text) \
	__asm__(".pushsection .text\n1: " text "\njmp cpu_back\n.popsection\n" \
		".pushsection .rodata\n2: .asciz \"" text "\"\n.popsection\n" \
		".pushsection .data.forms,\"aw\"\n.quad 1b, 2b\n.popsection\n")
#define SIZES(op) \
	FORM(op "b %al, (%rdi)"); FORM(op "b %ch, 16(%rbx)"); FORM(op "w %ax, (%r14,%r13)"); \
	FORM(op "l %ecx, (%rdi)"); FORM(op "l %r9d, (,%r15,8)"); FORM(op "q %rdx, 16(%rbx)"); \
	FORM(op "q %rdi, (%rdi)"); FORM(op "q %r13, (%r14,%r13)"); \
	FORM(op "l %eax, memory+8192+4094(%rip)")
#define IMMEDIATES(op) \
	FORM(op "b $0x5a, (%rdi)"); FORM(op "w $0x1234, 16(%rbx)"); FORM(op "l $-2, (%r14,%r13)"); \
	FORM(op "q $0x7fedcba9, (%rdi)"); FORM(op "q $-77, memory+8192+8190(%rip)")
#define UNARY(op) \
	FORM(op "b (%rdi)"); FORM(op "w 16(%rbx)"); FORM(op "l (%r14,%r13)"); FORM(op "q (%rdi)")
#define VECTOR(op, reg) \
	FORM(op " %" reg "mm0, (%rdi)"); FORM(op " %" reg "mm9, 16(%rbx)"); \
	FORM(op " %" reg "mm15, (%r14,%r13)"); FORM(op " %" reg "mm7, memory+8192-6(%rip)")
#define STRING(op) FORM(op "b"); FORM(op "w"); FORM(op "l"); FORM(op "q")

__asm__(".pushsection .data.forms,\"aw\"\n.globl forms\nforms:\n.popsection\n");
extern struct form forms[], forms_end[];
SIZES("mov"); SIZES("add"); SIZES("or"); SIZES("adc"); SIZES("xor"); SIZES("xchg");
SIZES("lock xadd"); SIZES("lock cmpxchg"); SIZES("cmpxchg"); SIZES("lock sub");
IMMEDIATES("mov"); IMMEDIATES("add"); IMMEDIATES("lock and"); IMMEDIATES("sbb");
UNARY("inc"); UNARY("lock dec"); UNARY("not"); UNARY("neg"); UNARY("rol"); UNARY("shr");
STRING("stos"); STRING("movs"); STRING("rep stos"); STRING("rep movs");
STRING("std; rep stos"); STRING("std; rep movs"); STRING("std; stos"); STRING("addr32 rep stos");
FORM("shlb %cl, (%rdi)"); FORM("sarl %cl, 16(%rbx)"); FORM("rcrq %cl, (%rdi)");
FORM("shldl $3, %ecx, (%rdi)"); FORM("shrdq %cl, %rdx, (%rdi)"); FORM("shldq %cl, %rdx, (%rcx)");
FORM("btsl $3, (%rdi)"); FORM("btsl %esi, (%rdi)"); FORM("lock btcq %rsi, 16(%rbx)");
FORM("sete (%rdi)"); FORM("setnc 16(%rbx)"); FORM("movnti %ecx, (%rdi)");
FORM("movbe %rcx, (%rdi)");
FORM("movw %ds, (%rdi)"); FORM("lock cmpxchg8b (%rdi)"); FORM("stmxcsr (%rdi)");
FORM("push %rcx"); FORM("push $-5"); FORM("pushf"); FORM("pushw %ax"); FORM("push (%rsi)");
FORM("pop (%rdi)"); FORM("call 3f; 3:"); FORM("mov %rcx, 8(%rsp)"); FORM("lock incl (%rsp)");
FORM("movd %xmm1, (%rdi)"); FORM("movq %xmm1, (%rdi)"); FORM("movss %xmm2, (%rdi)");
FORM("movsd %xmm2, 16(%rbx)"); FORM("movlps %xmm2, (%rdi)"); FORM("movhps %xmm2, 16(%rbx)");
FORM("pextrb $5, %xmm3, (%rdi)"); FORM("pextrw $5, %xmm3, (%rdi)");
FORM("pextrq $1, %xmm3, (%rdi)");
FORM("vextractf128 $1, %ymm4, (%rdi)"); FORM("vcvtps2ph $0, %ymm4, (%rdi)");
FORM("vmaskmovps %ymm1, %ymm2, (%rdi)"); FORM("vpmaskmovq %xmm1, %xmm2, 16(%rbx)");
FORM("maskmovdqu %xmm1, %xmm2"); FORM("fnstcw (%rdi)"); FORM("fldpi; fstpt (%rdi)");
FORM("fld1; fstpl 16(%rbx)"); FORM("fld1; fistpll (%rdi)"); FORM("fld1; fistps (%rdi)");
VECTOR("movups", "x"); VECTOR("movdqu", "x"); VECTOR("vmovups", "x"); VECTOR("vmovdqu", "y");
VECTOR("vmovsd", "x");
__asm__(".pushsection .data.forms,\"aw\"\n.globl forms_end\nforms_end:\n.popsection\n.text\n");

static uint64_t seed;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Often near a border of pages or of the region. */
static uint64_t draw_address(void)
{
	uint64_t at = draw() % DATA_BYTES;

	if (draw() % 2 == 0)
		at = draw() % (PAGES + 1) * MG_PAGE + draw() % 80 - 40;
	return (uint64_t)data + (draw() % 4 == 0 ? at & ~7ul : at);
}

static uint8_t source[2 * MG_PAGE];

static void set_registers(uint64_t address, const char *text, bool is_divert)
{
	uint64_t *words = (uint64_t *)&cpu;

	for (size_t i = 0; i < sizeof cpu / 8; i++)
		words[i] = draw() % 3 == 0 ? draw() % 256 : draw();
	cpu.rdi = cpu.rsp = address;
	cpu.rbx = address - 16;
	cpu.r14 = address - cpu.r13;
	cpu.r15 = address / 8;
	cpu.rsi = (uint64_t)source + MG_PAGE / 2 + draw() % MG_PAGE;
	cpu.flags = 0x202 | (draw() & 0x8d5);
	if (strstr(text, "esi") != NULL || strstr(text, "rsi,") != NULL)
		cpu.rsi = draw() % 256;
	if (strstr(text, "rep ") != NULL)
		cpu.rcx = draw() % 4 == 0 ? draw() % 600 : draw() % 9;
	/* What overlaps reads what it wrote, but not where that is diverted. */
	if (!is_divert && strstr(text, "rep movs") != NULL && draw() % 2 == 0)
		cpu.rsi = address + draw() % 64 - 32;
	if (strstr(text, "(%rcx)") != NULL)
		cpu.rcx = address;
	if (strstr(text, "push") != NULL || strstr(text, "call") != NULL)
		cpu.rsp += 16;
}

static bool is_open_all(int region, bool is_open)
{
	return (is_open ? mg_unprotect(region, 0, DATA_BYTES) :
		mg_protect(region, 0, DATA_BYTES, 1)) == 0;
}

static int complain(const struct form *form, uint64_t address, const char *what)
{
	fprintf(stderr, "%s at data+%ld: %s\n", form->text, (long)(address - (uint64_t)data), what);
	return 1;
}

/* What the report of the one fault says of the bytes, against what was there and is there now. */
static const char *check_event(const uint8_t *before, const uint8_t *after, bool is_downward)
{
	const struct mg_event *event = &mg_thread_self()->event;
	uint64_t at = event->address - (uint64_t)data;
	uint32_t wanted = event->width < MG_BYTES_MAX ? event->width : MG_BYTES_MAX;

	if (at >= DATA_BYTES || (event->width == 0 && event->insn.string_op != 0))
		return "the report's address";
	if (event->new_known < wanted && !event->insn.is_rep)
		return "the report does not know the new bytes";
	if (event->old_known < wanted || memcmp(event->old_bytes, before + at, wanted) != 0)
		return "the report's old bytes";
	if (memcmp(event->new_bytes, after + at, event->new_known) != 0)
		return "the report's new bytes";
	for (uint64_t i = 0; i < DATA_BYTES && !is_downward && event->width > 0; i++)
		if (before[i] != after[i] && i - at >= event->width)
			return "it wrote elsewhere";
	return NULL;
}

/* One form, twice; 0: no difference. */
static int compare(const struct form *form, int region, bool is_divert)
{
	static uint8_t before[sizeof memory], after[sizeof memory];
	static struct cpu start, open;
	uint64_t address = draw_address(), faults = mg_region_of(region)->faults;
	const char *problem = NULL;
	bool is_seen;

	for (size_t i = 0; i < sizeof memory / 8; i++)
		((uint64_t *)before)[i] = draw();
	for (size_t i = 0; i < sizeof source / 8; i++)
		((uint64_t *)source)[i] = draw();
	set_registers(address, form->text, is_divert);
	if (!is_open_all(region, true))
		return complain(form, address, "unprotect");
	memcpy(memory, before, sizeof memory);
	start = cpu;
	cpu_run(form->code);
	open = cpu;
	memcpy(after, memory, sizeof memory);
	memcpy(memory, before, sizeof memory);
	cpu = start;
	if (!is_open_all(region, false))
		return complain(form, address, "protect");
	cpu_run(form->code);
	is_seen = mg_region_of(region)->faults != faults;
	if (!is_seen && memcmp(before + MARGIN, after + MARGIN, DATA_BYTES) != 0)
		return complain(form, address, "not seen");
	if (mg_region_of(region)->faults == faults + 1)
		problem = check_event(before + MARGIN, after + MARGIN, start.flags & 0x400 ||
				      strstr(form->text, "std;") != NULL);
	if (problem != NULL)
		return complain(form, address, problem);
	if (is_divert)
		memcpy(after + MARGIN, before + MARGIN, DATA_BYTES);
	if (memcmp(memory, after, sizeof memory) != 0)
		return complain(form, address, "the memory differs");
	if (memcmp(&cpu, &open, sizeof cpu) != 0 && strstr(form->text, "pushf") == NULL)
		return complain(form, address, "the registers differ");
	return 0;
}

int main(int count, char **words)
{
	struct mg_options options = { .label = "data", .flags = 0 };
	struct mg_extent extent;
	int region, failures = 0;

	if (count != 4)
		return 2;
	options.mode = strcmp(words[1], "divert") == 0 ? MG_DIVERT : MG_CONTINUE;
	options.flags |= strcmp(words[1], "alias") == 0 ? MG_ALIAS : 0;
	seed = strtoull(words[2], NULL, 10) * 0x9e3779b97f4a7c15 + 1;
	if (mg_start() != 0 || mg_thread_enter("main", "tester") != 0)
		return 1;
	region = mg_region(data, DATA_BYTES, &options, &extent);
	if (region < 0 || extent.bytes != DATA_BYTES) {
		fprintf(stderr, "no region: %s\n", mg_problem());
		return 1;
	}
	for (long i = strtol(words[3], NULL, 10); i > 0 && failures < 20; i--)
		failures += compare(&forms[draw() % (uint64_t)(forms_end - forms)], region,
				    options.mode == MG_DIVERT);
	printf("%d forms, %lu faults\n", (int)(forms_end - forms),
	       (unsigned long)mg_region_of(region)->faults);
	return failures != 0 || mg_region_end(region) != 0;
}
