/*
 * What a thread that stands still is doing: its instruction, who called whom, what lies where.
 *
 * WHY      The guard needs it in its signal handler; it needs nothing of the guard. It only reads:
 *          memory by process_vm_readv, which cannot fault, and the mapped files of modules.
 * HANDLER  Functions marked so run in a signal handler, whatever state the process is in: no
 *          allocation, no locks, no stdio, no dl* calls; every loop is bounded, as what is read
 *          may be garbage. The others run in ordinary code, once.
 * FLOW     unwind.c walks: by cfi.c (.eh_frame) where a module has it, else by frame pointers.
 *          symbols.c, demangle.c, lines.c name native frames, v8.c those of JavaScript;
 *          culprit.c tells the program's own among them. decode.c, access.c, maps.c and task.c
 *          stand alone: instructions, mappings, other threads.
 */
#ifndef MILLRACE_INSPECT_H
#define MILLRACE_INSPECT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#define MG_PAGE 4096ul
#define MG_FRAMES_MAX 64
#define MG_CODE_BYTES 15 /* of the longest instruction */
#define MG_FLAG_DIRECTION 0x400

#define HANDLER /* may run in a signal handler */

enum mg_frame_kind { MG_FRAME_NATIVE, MG_FRAME_BUILTIN, MG_FRAME_JS, MG_FRAME_WASM };

enum mg_frame_notes {
	MG_NOTE_INTERPRETED = 1,
	MG_NOTE_BASELINE = 2,
	MG_NOTE_OPTIMIZED = 4,
	MG_NOTE_INLINED = 8,        /* this function was inlined into the next frame */
	MG_NOTE_FUNCTION_LINE = 16, /* line and column of the function, not of the write */
	MG_NOTE_MAY_HIDE = 32,      /* optimised without positions: inlined callees are not shown */
	MG_NOTE_PERF_MAP = 64,      /* named from the perf map */
};

struct mg_frame {
	enum mg_frame_kind kind;
	unsigned notes;
	uint64_t pc;
	uint64_t module_offset;     /* file offset's address as the linker counts: for addr2line */
	uint32_t line, column;      /* 0: not known; 1-based */
	char module[160];           /* path, or "" for code made at run time */
	char function[160];         /* UTF-8, "" when not known */
	char file[256];
};

/* read.c */
HANDLER bool mg_read(uint64_t address, void *out, size_t bytes); /* process_vm_readv */
HANDLER bool mg_read_now(uint64_t address, void *out, size_t bytes); /* without windows */
HANDLER uint64_t mg_now_ns(bool is_realtime);
HANDLER int32_t mg_tid(void);

/* Registers of a frame, as DWARF numbers them. */
enum { MG_RBP = 6, MG_RSP = 7, MG_RA = 16, MG_REGISTERS = 17 };
struct mg_registers {
	uint64_t reg[MG_REGISTERS]; /* RA: where the frame executes */
	uint32_t known;             /* bits */
};

/* last-walk.c: what a thread's last walk was, for the next one. */
#define MG_WALK_BYTES 65536
struct mg_step {
	struct mg_registers registers; /* at a return address */
	uint32_t frame;             /* the first one of the rest */
};
/* Frames of one function of JavaScript, and all that they were found by (v8.c). */
#define MG_KEPT_FRAMES 4
struct mg_kept {
	uint64_t key[24];
	uint32_t count;             /* 0: a free entry */
	struct mg_frame frames[MG_KEPT_FRAMES];
};
struct mg_walk {
	uint32_t steps, frames, bytes, way;
	int32_t tid;
	uint32_t new_steps, rest;   /* of the walk that goes on; rest: steps taken over */
	uint64_t low, differs_to;   /* the stack that is kept; from there on it is as it was */
	struct mg_step step[MG_FRAMES_MAX], new_step[MG_FRAMES_MAX];
	struct mg_frame frame[MG_FRAMES_MAX];
	uint8_t stack[2][MG_WALK_BYTES]; /* as it was, as it is */
	struct mg_kept kept[8];
};
HANDLER void mg_walk_begin(struct mg_walk *walk);
HANDLER uint32_t mg_walk_rest(struct mg_walk *walk, const struct mg_registers *registers,
			      uint32_t count, struct mg_frame *frames, uint32_t max);
HANDLER void mg_walk_end(struct mg_walk *walk, const struct mg_frame *frames, uint32_t count,
			 bool is_whole);

/* While these are in use mg_read() takes pages as it read them first: a walk makes dozens of reads
   of a few pages, and each costs a system call. NULL: no more. */
#define MG_WINDOWS 16
struct mg_windows {
	uint64_t page[MG_WINDOWS];
	uint8_t bytes[MG_WINDOWS][4096];
	struct mg_walk walk;
};
HANDLER void mg_windows_use(struct mg_windows *own);
HANDLER struct mg_walk *mg_last_walk(void); /* NULL: none are in use */

/* unwind.c: fills frames from the context, innermost first; returns their number. */
HANDLER uint32_t mg_unwind(const ucontext_t *context, struct mg_frame *frames, uint32_t max);
/* cfi.c: the caller's registers by the .eh_frame of the module whose .eh_frame_hdr is at hdr. */
enum mg_cfi { MG_CFI_NONE, MG_CFI_STEPPED, MG_CFI_END /* outermost */, MG_CFI_BROKEN };
HANDLER enum mg_cfi mg_cfi_step(uint64_t hdr, uint64_t pc, struct mg_registers *registers);
HANDLER uint64_t mg_cfi_function(uint64_t hdr, uint64_t pc); /* where it begins, or 0 */
/* symbols.c */
int mg_symbols_start(void);
HANDLER bool mg_symbol(uint64_t pc, bool is_return_address, struct mg_frame *frame);
/* Address of the module's first byte, its load bias, where its .eh_frame_hdr is mapped (or 0).
   False: pc is no executable memory. Code made at run time: true, all three 0. */
HANDLER bool mg_module(uint64_t pc, uint64_t *base, uint64_t *bias, uint64_t *eh_frame_hdr);
/* What is known of an address that may be none of code, without reading the maps for it again. */
enum mg_code { MG_CODE_NONE, MG_CODE_MODULE, MG_CODE_RUNTIME };
HANDLER enum mg_code mg_code_at(uint64_t pc, uint64_t *base);

/* place.c: where a thread came from, told without a walk; and answers that are kept for it. */
struct mg_stop {
	uint64_t pc, fp, sp;
	uint64_t about;             /* part of the question: the same place may have other answers */
};
HANDLER uint64_t mg_place(const struct mg_stop *stop); /* 0: it takes a walk to tell */
HANDLER bool mg_place_find(uint64_t place, uint32_t *answer);
HANDLER void mg_place_keep(uint64_t place, uint32_t answer); /* below 4096 */
/* A section of an ELF file that may be garbage; NULL: none, or compressed. */
HANDLER const uint8_t *mg_section(const uint8_t *elf, size_t bytes, const char *name, size_t *size);
/* demangle.c: C++ names without parameters; what is not understood stays as it is. */
HANDLER void mg_demangle(const char *mangled, char *out, size_t bytes);
/* lines.c: file and line of an address of a mapped ELF file (DWARF 4 and 5 .debug_line). */
HANDLER bool mg_line(const uint8_t *elf, size_t elf_bytes, uint64_t file_address,
		     struct mg_frame *frame);

/* v8.c. The frames (inlined ones first) of the JavaScript function whose frame is at fp; 0: none.
   `registers` only for the innermost frame (the bytecode offset may still be in a register). */
int mg_v8_start(void);
bool mg_v8_is_known(void);
bool mg_v8_try(unsigned variant); /* reads V8's heap in that way; false: there is no such way */
HANDLER uint32_t mg_v8_frames(uint64_t pc, uint64_t fp, const greg_t *registers,
			      struct mg_frame *frames, uint32_t max);

/* One instruction that accesses memory, as decode.c knows it. Registers are gregs indices. */
struct mg_insn {
	uint8_t length;     /* 0: not known */
	uint16_t width;     /* bytes accessed at the address; 0: not known */
	bool is_write;
	bool is_atomic;     /* lock prefix or xchg */
	bool is_rep;        /* REP MOVS / STOS */
	uint8_t string_op;  /* 0, 'm' (movs), 's' (stos) */
	bool is_plain_mov;  /* a plain store of value_reg or immediate: new bytes can be told */
	bool has_immediate;
	int64_t immediate;  /* stored immediate where has_immediate */
	int8_t value_reg;   /* the stored general register, or -1 */
	int8_t vector_reg;  /* number of the plainly stored vector register, or -1 */
	uint8_t value_byte; /* first byte of the register that is stored: 1 for ah, 8 for movhps */
	bool knows_address; /* base + (index << scale) + displacement is where it accesses */
	int8_t base_reg;    /* or -1; REG_RIP: counted from the next instruction */
	int8_t index_reg;   /* or -1 */
	uint8_t scale;
	int64_t displacement;
	int8_t shift_reg;   /* base or index that has no other part in the instruction, or -1 */
	uint8_t shift_scale;
};
/* decode.c: bytes at pc, at most 15. False: not an instruction that is known. */
HANDLER bool mg_decode(const uint8_t *code, size_t available, struct mg_insn *insn);

static inline uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* access.c: the bytes at pc, as many as can be read, and what they are. */
HANDLER bool mg_decode_at(uint64_t pc, uint8_t *code, struct mg_insn *insn);
HANDLER bool mg_can_write(uint64_t address); /* its page lets one, now */
/* Where the instruction's access begins; it faulted at `address`, maybe on a later page. */
HANDLER uint64_t mg_access_start(const struct mg_insn *insn, const greg_t *registers,
				 uint64_t address);
/* What a plain store stores; how many bytes of it are known. */
HANDLER uint32_t mg_stored_bytes(const struct mg_insn *insn, const ucontext_t *context,
				 uint8_t *bytes);
/* Elements that a string instruction still writes within start .. + bytes. */
HANDLER uint64_t mg_string_count(const struct mg_insn *insn, const greg_t *registers,
				 uint64_t start, uint64_t bytes);
/* What REP writes upwards, whose first element is in `bytes`; how many of the wanted are known. */
HANDLER uint32_t mg_repeated_bytes(const struct mg_insn *insn, const greg_t *registers,
				   uint8_t *bytes, uint32_t wanted);

/* task.c: of a thread that waits in the kernel, what call it is in. */
struct mg_call {
	int64_t number;             /* -1: none, or not known */
	uint64_t args[6], pc;
};
void mg_task_call(int32_t tid, struct mg_call *call);
bool mg_task_takes(int32_t tid, int signal); /* it is not blocked */
void mg_task_name(int32_t tid, char *name, size_t size);
HANDLER bool mg_task_is_gone(int32_t tid);

/* maps.c */
struct mg_mapping {
	uint64_t start, end;
	bool is_readable, is_writable, is_executable, is_shared;
	unsigned long inode;
	char name[64], flags[256];  /* " ht lo ", of smaps */
};
/* Bounds and access; -ENOENT: none, -ENOTTY: this kernel has only text, which is not to be read. */
int mg_mapping_at(uint64_t address, bool may_read_text, struct mg_mapping *mapping);
/* The first complaint about a mapping within start .. + bytes; NULL: all of it is fine. By smaps,
   which is slow where there are thousands of mappings. */
const char *mg_mappings_look(uint64_t start, uint64_t bytes,
			     const char *(*complain)(const struct mg_mapping *));
void mg_maps_forked(void);

/* culprit.c: the first frame that the program's author wrote; `count`: none. */
HANDLER uint32_t mg_culprit(const struct mg_frame *frames, uint32_t count);
HANDLER bool mg_is_program(const struct mg_frame *frame); /* not the engine, not a library of C */
/* The culprit is the first frame that is no machinery, which mg_place() is about. */
HANDLER bool mg_is_first_to_blame(const struct mg_frame *frames, uint32_t count, uint32_t culprit);
/* Frames at the outer end that are only the engine and the C library, which started it all. */
HANDLER uint32_t mg_outer_machinery(const struct mg_frame *frames, uint32_t count);
HANDLER bool mg_frame_has(const struct mg_frame *frame, const char *words); /* one of "a|b" */
HANDLER bool mg_has_engine(void); /* V8 is in this process */
HANDLER uint64_t mg_engine_base(void); /* of its module; 0: none */

#endif
