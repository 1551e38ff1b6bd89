/*
 * Which module and function a pc lies in, from /proc/self/maps and the ELF files themselves.
 *
 * WHY      dladdr() and backtrace_symbols() take locks and allocate, and know exported names only.
 * HANDLER  All but mg_symbols_start. Executable mappings are kept in a table, read anew by read(2)
 *          when a pc is not in it and at the latest after a second; ELF headers of running code are
 *          read by mg_read(), symbol tables from a read-only mapping of the file, made once a
 *          module. Every offset in a file is checked against its size: it may be garbage.
 * THREADS  Many handlers at once: the table is double-buffered and validated by its generation; who
 *          finds another thread reading the maps waits for it, at most 100 ms.
 * REFUSED  Files that changed on disk since they were mapped (their first page says so); names
 *          in compressed debug data; files outside the mount namespace. They are named, without
 *          functions; their frames are walked all the same. A file that is truncated during the
 *          look-up is a fault within the handler (handler.c says so and ends).
 */
#include <elf.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core.h"

#define MODULES_MAX 512
#define MAPPINGS_MAX 2048
#define MAPS_AGE_NS 1000000000ull
#define NO_FILE ((const uint8_t *)1)

struct module {
	char path[256];
	uint64_t device, inode;
	uint64_t base;         /* where file offset 0 is mapped */
	uint64_t end;          /* of its last segment */
	uint64_t eh_frame_hdr;
	size_t elf_bytes;
	const uint8_t *_Atomic elf; /* NULL: not tried */
};

struct mapping {
	uint64_t start, end;
	uint64_t bias;
	int32_t module;        /* -1: code made at run time */
};

struct table {
	uint64_t read_ns;
	uint32_t count;
	struct mapping mappings[MAPPINGS_MAX];
};

/* One line of maps, and what the lines before it said of the same file. */
struct line {
	uint64_t start, end, offset, device, inode, base;
	bool is_code;
	const char *path;
	int32_t module;        /* of the last code */
};

static struct module modules[MODULES_MAX];
static _Atomic uint32_t module_count;
static struct table tables[2];
static _Atomic uint32_t generation; /* tables[generation & 1] is valid */
static _Atomic int32_t reader;      /* tid that reads maps, or 0 */

/* The address that the linker gave to a byte of the file, minus its offset; false: not code. */
static bool read_segments(struct module *module, uint64_t offset, uint64_t *slide)
{
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	uint64_t first = 0, hdr = 0, end = 0;
	bool is_found = false, has_first = false;

	if (module->base == 0 || !mg_read(module->base, &header, sizeof header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof segment)
		return false;
	for (int i = 0; i < header.e_phnum && i < 64; i++) {
		if (!mg_read(module->base + header.e_phoff + i * sizeof segment, &segment,
			     sizeof segment))
			return false;
		if (segment.p_type == PT_GNU_EH_FRAME)
			hdr = segment.p_vaddr;
		if (segment.p_type != PT_LOAD)
			continue;
		if (!has_first)
			first = segment.p_vaddr - segment.p_offset;
		has_first = true;
		end = segment.p_vaddr + segment.p_memsz;
		if ((segment.p_flags & PF_X) && offset < segment.p_offset + segment.p_filesz &&
		    offset + MG_PAGE > segment.p_offset) {
			*slide = segment.p_vaddr - segment.p_offset;
			is_found = true;
		}
	}
	module->eh_frame_hdr = hdr != 0 ? module->base - first + hdr : 0;
	module->end = module->base - first + end;
	return is_found;
}

/* The module of this line's file, or -1. A file may be mapped elsewhere too: V8 does so. */
static int32_t module_of(const struct line *line, uint64_t *bias)
{
	uint32_t count = atomic_load(&module_count), i;
	struct module *module;
	uint64_t slide = 0;

	for (i = 0; i < count; i++) {
		module = &modules[i];
		if (module->inode == line->inode && module->device == line->device &&
		    (line->base == 0 || module->base == line->base) &&
		    strncmp(module->path, line->path, sizeof module->path - 1) == 0)
			break;
	}
	if (i == MODULES_MAX)
		return -1;
	module = &modules[i];
	if (i == count) {
		memset(module, 0, sizeof *module);
		module->device = line->device;
		module->inode = line->inode;
		module->base = line->base;
		strncpy(module->path, line->path, sizeof module->path - 1);
		atomic_store(&module_count, count + 1);
	}
	if (!read_segments(module, line->offset, &slide))
		slide = 0;
	*bias = line->start - line->offset - slide;
	return (int32_t)i;
}

static uint64_t number(const char **at, unsigned base)
{
	uint64_t value = 0;

	for (;; (*at)++) {
		char c = **at;
		unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;

		if (digit >= base)
			return value;
		value = value * base + digit;
	}
}

static void add_line(struct table *table, struct line *line, const char *at)
{
	uint64_t device = line->device, inode = line->inode, bias = 0;
	struct mapping *last = table->count > 0 ? &table->mappings[table->count - 1] : NULL;
	int32_t module = -1;

	line->start = number(&at, 16);
	at++;
	line->end = number(&at, 16);
	line->is_code = at[0] == ' ' && at[1] != 0 && at[2] != 0 && at[3] == 'x';
	for (at++; *at != ' ' && *at != 0; at++)
		;
	at++;
	line->offset = number(&at, 16);
	at++;
	line->device = number(&at, 16) << 32;
	at++;
	line->device |= number(&at, 16);
	at++;
	line->inode = number(&at, 10);
	while (*at == ' ')
		at++;
	line->path = at;
	if (line->offset == 0)
		line->base = line->start;
	else if (line->device != device || line->inode != inode)
		line->base = 0;
	if (!line->is_code || table->count == MAPPINGS_MAX)
		return;
	if (*at == '/' || strcmp(at, "[vdso]") == 0) {
		module = module_of(line, &bias);
		line->module = module;
	} else if (line->module >= 0 && line->start < modules[line->module].end && last != NULL) {
		module = last->module; /* huge pages instead of the file: node --use-largepages */
		bias = last->bias;
	} else if (last != NULL && last->module < 0 && last->end == line->start) {
		last->end = line->end;
		return;
	}
	table->mappings[table->count++] = (struct mapping){ line->start, line->end, bias, module };
}

static void read_maps(struct table *table)
{
	char text[8192 + 1];
	size_t have = 0;
	ssize_t got;
	struct line line = { .module = -1 };
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	table->count = 0;
	table->read_ns = mg_now_ns(false);
	if (fd < 0)
		return;
	while ((got = read(fd, text + have, sizeof text - 1 - have)) > 0) {
		char *from = text, *end;

		have += (size_t)got;
		for (; (end = memchr(from, '\n', have - (from - text))) != NULL; from = end + 1) {
			*end = 0;
			add_line(table, &line, from);
		}
		have -= (size_t)(from - text);
		memmove(text, from, have);
		if (have == sizeof text - 1)
			have = 0; /* no line is that long */
	}
	close(fd);
}

static void refresh(void)
{
	int32_t nobody = 0, self = mg_tid();
	uint32_t seen = atomic_load(&generation);

	for (int i = 0; !atomic_compare_exchange_strong(&reader, &nobody, self); i++) {
		if (nobody == self || i == 1000)
			return;
		nanosleep(&(struct timespec){ 0, 100000 }, NULL);
		nobody = 0;
	}
	if (atomic_load(&generation) == seen) {
		read_maps(&tables[(seen + 1) & 1]);
		atomic_store(&generation, seen + 1);
	}
	atomic_store(&reader, 0);
}

static bool find_in_table(uint64_t pc, struct mapping *out)
{
	for (;;) {
		uint32_t now = atomic_load(&generation), low = 0, high;
		const struct table *table = &tables[now & 1];
		bool is_found;

		for (high = table->count; high - low > 1 && high <= MAPPINGS_MAX;) {
			uint32_t middle = (low + high) / 2;

			if (table->mappings[middle].start <= pc)
				low = middle;
			else
				high = middle;
		}
		*out = table->mappings[low < MAPPINGS_MAX ? low : 0];
		is_found = table->count > 0 && pc >= out->start && pc < out->end;
		if (atomic_load(&generation) == now)
			return is_found && mg_now_ns(false) - table->read_ns < MAPS_AGE_NS;
	}
}

static bool find(uint64_t pc, struct mapping *out)
{
	if (find_in_table(pc, out))
		return true;
	refresh();
	return find_in_table(pc, out);
}

HANDLER bool mg_module(uint64_t pc, uint64_t *base, uint64_t *bias, uint64_t *eh_frame_hdr)
{
	struct mapping mapping;

	if (!find(pc, &mapping))
		return false;
	*base = mapping.module < 0 ? 0 : modules[mapping.module].base;
	*bias = mapping.bias;
	*eh_frame_hdr = mapping.module < 0 ? 0 : modules[mapping.module].eh_frame_hdr;
	return true;
}

/* Maps the file, if it still is the one whose first page is mapped as the module's. */
static const uint8_t *map_file(struct module *module)
{
	uint8_t here[MG_PAGE];
	struct stat status;
	const uint8_t *elf = NO_FILE;
	int fd = open(module->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NO_FILE;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
	    status.st_size >= (off_t)sizeof here && mg_read(module->base, here, sizeof here)) {
		elf = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (elf == MAP_FAILED) {
			elf = NO_FILE;
		} else if (memcmp(elf, here, sizeof here) != 0) {
			munmap((void *)elf, (size_t)status.st_size);
			elf = NO_FILE;
		}
		module->elf_bytes = (size_t)status.st_size;
	}
	close(fd);
	return elf;
}

static const uint8_t *elf_of(struct module *module, const struct mapping *mapping)
{
	const uint8_t *elf = atomic_load(&module->elf), *ours;

	if (elf == NULL) {
		if (module->path[0] == '[') {
			module->elf_bytes = mapping->end - mapping->start;
			ours = (const uint8_t *)mapping->start;
		} else {
			ours = map_file(module);
		}
		if (atomic_compare_exchange_strong(&module->elf, &elf, ours))
			elf = ours;
		else if (ours != NO_FILE && module->path[0] != '[')
			munmap((void *)ours, module->elf_bytes);
	}
	return elf == NO_FILE ? NULL : elf;
}

static bool section_at(const uint8_t *elf, size_t bytes, uint32_t index, Elf64_Shdr *out)
{
	Elf64_Ehdr header;

	if (bytes < sizeof header)
		return false;
	memcpy(&header, elf, sizeof header);
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_shentsize != sizeof *out ||
	    index >= header.e_shnum || header.e_shoff > bytes ||
	    (bytes - header.e_shoff) / sizeof *out <= index)
		return false;
	memcpy(out, elf + header.e_shoff + index * sizeof *out, sizeof *out);
	return out->sh_type == SHT_NOBITS ||
	       (out->sh_offset <= bytes && out->sh_size <= bytes - out->sh_offset);
}

HANDLER const uint8_t *mg_section(const uint8_t *elf, size_t bytes, const char *name, size_t *size)
{
	Elf64_Ehdr header;
	Elf64_Shdr names, section;

	if (bytes < sizeof header)
		return NULL;
	memcpy(&header, elf, sizeof header);
	if (!section_at(elf, bytes, header.e_shstrndx, &names) || names.sh_type != SHT_STRTAB)
		return NULL;
	for (uint32_t i = 1; i < header.e_shnum; i++) {
		if (!section_at(elf, bytes, i, &section) || section.sh_type == SHT_NOBITS ||
		    (section.sh_flags & SHF_COMPRESSED) || section.sh_name >= names.sh_size ||
		    names.sh_size - section.sh_name <= strlen(name) ||
		    memcmp(elf + names.sh_offset + section.sh_name, name, strlen(name) + 1) != 0)
			continue;
		*size = section.sh_size;
		return elf + section.sh_offset;
	}
	return NULL;
}

/* Higher wins: covers the address, begins nearest, is global, has no leading underscore. */
static bool is_better(const Elf64_Sym *a, const Elf64_Sym *b, uint64_t address, const char *names)
{
	bool covers_a = address - a->st_value < a->st_size;
	bool covers_b = address - b->st_value < b->st_size;
	unsigned bind_a = ELF64_ST_BIND(a->st_info), bind_b = ELF64_ST_BIND(b->st_info);

	if (covers_a != covers_b)
		return covers_a;
	if (a->st_value != b->st_value)
		return a->st_value > b->st_value;
	if (bind_a != bind_b)
		return bind_b == STB_LOCAL || bind_a == STB_GLOBAL;
	return names[a->st_name] != '_' && names[b->st_name] == '_';
}

/* Name of the function at the address. Symbols without a size reach to the next symbol. */
static const char *best_symbol(const uint8_t *elf, size_t bytes, const char *table,
			       const char *table_names, uint64_t address)
{
	size_t size, name_bytes;
	const uint8_t *symbols = mg_section(elf, bytes, table, &size);
	const char *names = (const char *)mg_section(elf, bytes, table_names, &name_bytes);
	Elf64_Sym symbol, best = { 0 };
	Elf64_Shdr section;

	if (symbols == NULL || names == NULL || name_bytes == 0 || names[name_bytes - 1] != 0)
		return NULL;
	for (size_t at = 0; at + sizeof symbol <= size; at += sizeof symbol) {
		unsigned type = symbols[at + offsetof(Elf64_Sym, st_info)] & 15;

		memcpy(&symbol, symbols + at, sizeof symbol);
		if (symbol.st_value <= address && symbol.st_shndx != SHN_UNDEF &&
		    symbol.st_name < name_bytes &&
		    (type == STT_FUNC || type == STT_NOTYPE || type == STT_GNU_IFUNC) &&
		    (best.st_shndx == SHN_UNDEF || is_better(&symbol, &best, address, names)))
			best = symbol;
	}
	if (best.st_shndx == SHN_UNDEF ||
	    (best.st_size != 0 && address - best.st_value >= best.st_size) ||
	    (best.st_size == 0 && (!section_at(elf, bytes, best.st_shndx, &section) ||
				   address - section.sh_addr >= section.sh_size)))
		return NULL;
	return names + best.st_name;
}


HANDLER bool mg_symbol(uint64_t pc, bool is_return_address, struct mg_frame *frame)
{
	uint64_t at = pc - (is_return_address ? 1 : 0);
	struct mapping mapping;
	struct module *module;
	const uint8_t *elf;
	const char *name;
	size_t length;

	memset(frame, 0, sizeof *frame);
	frame->kind = MG_FRAME_NATIVE;
	frame->pc = pc;
	if (!find(at, &mapping) || mapping.module < 0)
		return false;
	module = &modules[mapping.module];
	frame->module_offset = at - mapping.bias;
	length = strlen(module->path);
	memcpy(frame->module, module->path + (length < sizeof frame->module ? 0 :
	       length - sizeof frame->module + 1), sizeof frame->module - 1);
	elf = elf_of(module, &mapping);
	if (elf == NULL)
		return true;
	name = best_symbol(elf, module->elf_bytes, ".symtab", ".strtab", frame->module_offset);
	if (name == NULL)
		name = best_symbol(elf, module->elf_bytes, ".dynsym", ".dynstr",
				   frame->module_offset);
	if (name != NULL)
		mg_demangle(name, frame->function, sizeof frame->function);
	mg_line(elf, module->elf_bytes, frame->module_offset, frame);
	return true;
}

int mg_symbols_start(void)
{
	struct mapping mapping;

	return find((uint64_t)(uintptr_t)mg_symbols_start, &mapping) ? 0 : -ENOENT;
}
