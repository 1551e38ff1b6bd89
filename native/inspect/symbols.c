/*
 * Which module and function a pc lies in, from /proc/self/maps and the ELF files themselves.
 *
 * WHY      dladdr() and backtrace_symbols() take locks and allocate, and know exported names only.
 * HANDLER  All of it. Executable mappings are kept in a table, read anew by read(2) when a pc is
 *          not in it and at the latest after a second; ELF headers of running code are read by
 *          mg_read(), symbols from a read-only mapping of the file, made once a module. Every
 *          offset in a file is checked against its size: it may be garbage.
 * THREADS  Many handlers at once: the table is double-buffered and validated by its generation;
 *          who finds another thread reading the maps waits for it, at most 100 ms.
 * REFUSED  Files that changed on disk since they were mapped (their first page tells), deleted
 *          ones: they are named, without functions, and their frames are walked all the same. A
 *          file truncated during the look-up is a fault in the handler: it says so and ends.
 */
#include "inspect.h"

#include <elf.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAPS_AGE_NS 1000000000ull
#define NO_FILE ((const uint8_t *)1)

enum { MODULES_MAX = 512, MAPPINGS_MAX = 2048, FOUND = 1021, WAYS = 4 };

struct module {
	char path[256];
	uint64_t inode;
	uint64_t base, end;         /* where file offset 0 and the end of its segments are mapped */
	uint64_t eh_frame_hdr;
	size_t elf_bytes;
	const uint8_t *_Atomic elf; /* NULL: not tried */
};

struct mapping {
	uint64_t start, end, bias;
	struct module *module;      /* NULL: code made at run time */
};

static struct module modules[MODULES_MAX];
static uint32_t module_count; /* written by `reader` alone */
static struct table {
	uint64_t read_ns;
	uint32_t count;
	struct mapping mappings[MAPPINGS_MAX];
} tables[2];
static _Atomic uint32_t generation; /* tables[generation & 1] is valid */
static _Atomic int32_t reader;      /* tid that reads maps, or 0 */

/* Reads a module's headers where they are mapped; the bias of its code at this file offset. */
static uint64_t read_segments(struct module *module, uint64_t start, uint64_t offset)
{
	uint64_t bias = start - offset, shift = 0, hdr = 0, end = 0;
	Elf64_Ehdr header;
	Elf64_Phdr segment;

	if (module->base == 0 || !mg_read(module->base, &header, sizeof header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
		return bias;
	for (uint64_t i = 0; i < header.e_phnum && i < 64; i++) {
		if (!mg_read(module->base + header.e_phoff + i * sizeof segment, &segment,
			     sizeof segment))
			break;
		if (segment.p_type == PT_GNU_EH_FRAME)
			hdr = segment.p_vaddr;
		if (segment.p_type != PT_LOAD)
			continue;
		if (end == 0)
			shift = module->base - segment.p_vaddr + segment.p_offset;
		end = shift + segment.p_vaddr + segment.p_memsz;
		if ((segment.p_flags & PF_X) && offset < segment.p_offset + segment.p_filesz &&
		    offset + MG_PAGE > segment.p_offset)
			bias = start - offset - segment.p_vaddr + segment.p_offset;
	}
	module->eh_frame_hdr = hdr == 0 ? 0 : hdr + shift;
	module->end = end;
	return bias;
}

/* A file mapped once more elsewhere is the same module: V8 does so with its builtins. */
static struct module *module_of(const char *path, uint64_t inode, uint64_t base)
{
	struct module *module = modules;

	for (; module < modules + module_count; module++)
		if (module->inode == inode && (base == 0 || module->base == base) &&
		    strncmp(module->path, path, sizeof module->path - 1) == 0)
			return module;
	if (module_count == MODULES_MAX)
		return NULL;
	strncpy(module->path, path, sizeof module->path - 1);
	module->inode = inode;
	module->base = base;
	module_count++;
	return module;
}

static uint64_t number(const char **at, unsigned base)
{
	uint64_t value = 0;

	for (;;) {
		char c = **at;
		unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;

		*at += c != 0; /* with what ends it */
		if (digit >= base)
			return value;
		value = value * base + digit;
	}
}

/* What the lines of maps so far said of the last file. */
struct file {
	uint64_t inode, base;
};

static void add_line(struct table *table, struct file *file, const char *at)
{
	struct mapping *last = table->count > 0 ? &table->mappings[table->count - 1] : NULL;
	struct mapping mapping = { .start = number(&at, 16) };
	uint64_t offset, inode;
	bool is_code;

	mapping.end = number(&at, 16);
	is_code = strnlen(at, 5) == 5 && at[2] == 'x';
	at += strcspn(at, " ") + 1;
	offset = number(&at, 16);
	number(&at, 16), number(&at, 16); /* device */
	inode = number(&at, 10);
	at += strspn(at, " ");
	if (offset == 0)
		file->base = mapping.start;
	else if (inode != file->inode)
		file->base = 0;
	file->inode = inode;
	if (!is_code || table->count == MAPPINGS_MAX)
		return;
	if (*at == '/' || strcmp(at, "[vdso]") == 0) {
		mapping.module = module_of(at, inode, file->base);
		if (mapping.module != NULL)
			mapping.bias = read_segments(mapping.module, mapping.start, offset);
	} else if (last != NULL && last->module != NULL && mapping.start < last->module->end) {
		mapping.module = last->module; /* huge pages in its place: --use-largepages */
		mapping.bias = last->bias;
	} else if (last != NULL && last->module == NULL && last->end == mapping.start) {
		last->end = mapping.end;
		return;
	}
	table->mappings[table->count++] = mapping;
}

static void read_maps(struct table *table)
{
	char text[8192 + 1], *from, *end;
	size_t have = 0;
	ssize_t got;
	struct file file = { 0, 0 };
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	table->count = 0;
	table->read_ns = mg_now_ns(false);
	while (fd >= 0 && (got = read(fd, text + have, sizeof text - 1 - have)) > 0) {
		have += (size_t)got;
		for (from = text; (end = memchr(from, '\n', have)) != NULL; from = end + 1) {
			*end = 0;
			have -= (size_t)(end + 1 - from);
			add_line(table, &file, from);
		}
		memmove(text, from, have);
	}
	if (fd >= 0)
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

/* Whether a pc that is not in the table can be code: kernels from 6.11 on know without the text. */
static bool may_be_code(uint64_t pc)
{
	struct { uint64_t size, flags, address, answer[10]; } query = {
		.size = sizeof query, .flags = 4 /* executable */, .address = pc };
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	bool is_none = fd >= 0 && ioctl(fd, _IOWR('f', 17, query), &query) != 0 && errno == ENOENT;

	if (fd >= 0)
		close(fd);
	return !is_none;
}

/* The mapping that executes pc, out of a valid table: a fresh one, where it may be read anew. */
static bool find_in(uint64_t pc, struct mapping *out, bool may_read)
{
	for (int tries = 0; tries < (may_read ? 3 : 1); tries++) {
		uint32_t now = atomic_load(&generation), low = 0, high;
		const struct table *table = &tables[now & 1];
		bool is_fresh = mg_now_ns(false) - table->read_ns < MAPS_AGE_NS, is_found;

		for (high = table->count; high - low > 1;) {
			uint32_t middle = (low + high) / 2;

			if (table->mappings[middle].start <= pc)
				low = middle;
			else
				high = middle;
		}
		*out = table->mappings[low];
		is_found = high > 0 && pc >= out->start && pc < out->end;
		if ((is_fresh || !may_read) && is_found && atomic_load(&generation) == now)
			return true;
		if (tries == 0 && !is_found && (!may_read || !may_be_code(pc)))
			return false;
		if (tries == 0 && may_read)
			refresh();
	}
	return false;
}

static bool find(uint64_t pc, struct mapping *out)
{
	return find_in(pc, out, true);
}

HANDLER enum mg_code mg_code_at(uint64_t pc, uint64_t *base)
{
	struct mapping mapping;

	if (!find_in(pc, &mapping, false))
		return MG_CODE_NONE;
	*base = mapping.module == NULL ? 0 : mapping.module->base;
	return mapping.module == NULL ? MG_CODE_RUNTIME : MG_CODE_MODULE;
}

HANDLER bool mg_module(uint64_t pc, uint64_t *base, uint64_t *bias, uint64_t *eh_frame_hdr)
{
	struct mapping mapping;
	bool is_found = find(pc, &mapping), has_module = is_found && mapping.module != NULL;

	*base = has_module ? mapping.module->base : 0;
	*bias = has_module ? mapping.bias : 0;
	*eh_frame_hdr = has_module ? mapping.module->eh_frame_hdr : 0;
	return is_found;
}

/* The module's file, mapped whole, if it still is the one whose first page the module shows. */
static const uint8_t *map_file(struct module *module)
{
	uint8_t here[MG_PAGE];
	struct stat status;
	const uint8_t *elf = MAP_FAILED;
	int fd = open(module->path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
	    status.st_size >= (off_t)sizeof here && mg_read(module->base, here, sizeof here)) {
		module->elf_bytes = (size_t)status.st_size;
		elf = mmap(NULL, module->elf_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	}
	if (fd >= 0)
		close(fd);
	return elf == MAP_FAILED || memcmp(elf, here, sizeof here) != 0 ? NO_FILE : elf;
}

/* Two threads may map it both, once: the other mapping stays. */
static const uint8_t *elf_of(const struct mapping *mapping)
{
	struct module *module = mapping->module;
	const uint8_t *elf = atomic_load(&module->elf);

	if (elf == NULL && module->path[0] == '[') { /* the vDSO is its own file */
		module->elf_bytes = mapping->end - mapping->start;
		elf = (const uint8_t *)mapping->start;
	} else if (elf == NULL) {
		elf = map_file(module);
	}
	atomic_store(&module->elf, elf);
	return elf == NO_FILE ? NULL : elf;
}

static bool section_at(const uint8_t *elf, size_t bytes, uint32_t index, Elf64_Shdr *out)
{
	Elf64_Ehdr header;

	if (bytes < sizeof header)
		return false;
	memcpy(&header, elf, sizeof header);
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || index >= header.e_shnum ||
	    header.e_shoff > bytes || (bytes - header.e_shoff) / sizeof *out <= index)
		return false;
	memcpy(out, elf + header.e_shoff + index * sizeof *out, sizeof *out);
	return out->sh_type == SHT_NOBITS ||
	       (out->sh_offset <= bytes && out->sh_size <= bytes - out->sh_offset);
}

HANDLER const uint8_t *mg_section(const uint8_t *elf, size_t bytes, const char *name, size_t *size)
{
	Elf64_Ehdr header;
	Elf64_Shdr names, section;
	size_t name_bytes = strlen(name) + 1;

	if (bytes < sizeof header)
		return NULL;
	memcpy(&header, elf, sizeof header);
	if (!section_at(elf, bytes, header.e_shstrndx, &names) || names.sh_type != SHT_STRTAB)
		return NULL;
	for (uint32_t i = 1; i < header.e_shnum; i++) {
		if (!section_at(elf, bytes, i, &section) || section.sh_type == SHT_NOBITS ||
		    (section.sh_flags & SHF_COMPRESSED) ||
		    section.sh_name > names.sh_size || names.sh_size - section.sh_name < name_bytes ||
		    memcmp(elf + names.sh_offset + section.sh_name, name, name_bytes) != 0)
			continue;
		*size = section.sh_size;
		return elf + section.sh_offset;
	}
	return NULL;
}

/* Of two symbols at one address: the global one, the one without leading underscore. */
static bool is_better(const Elf64_Sym *a, const Elf64_Sym *b, const char *names)
{
	unsigned bind_a = ELF64_ST_BIND(a->st_info), bind_b = ELF64_ST_BIND(b->st_info);

	if (bind_a != bind_b)
		return bind_b == STB_LOCAL || bind_a == STB_GLOBAL;
	return names[a->st_name] != '_' && names[b->st_name] == '_';
}

/* The function at the address: of those that cover it, or else of all, the one that begins nearest.
   One without a size reaches to the next symbol; one with a size must cover the address. */
static const char *best_symbol(const uint8_t *elf, size_t bytes, const char *table,
			       const char *table_names, uint64_t address)
{
	size_t size, name_bytes;
	const uint8_t *symbols = mg_section(elf, bytes, table, &size);
	const char *names = (const char *)mg_section(elf, bytes, table_names, &name_bytes);
	uint64_t distance, nearest = UINT64_MAX;
	Elf64_Sym symbol, best = { 0 };
	Elf64_Shdr section;
	bool is_covered = false, covers;

	if (symbols == NULL || names == NULL || name_bytes == 0 || names[name_bytes - 1] != 0)
		return NULL;
	for (size_t at = 0; at + sizeof symbol <= size; at += sizeof symbol) {
		memcpy(&symbol, symbols + at, sizeof symbol);
		distance = address - symbol.st_value;
		covers = distance < symbol.st_size;
		if (is_covered ? !covers || distance > nearest : !covers && distance > nearest)
			continue;
		if (symbol.st_value > address || symbol.st_shndx == SHN_UNDEF ||
		    symbol.st_name >= name_bytes)
			continue;
		unsigned type = ELF64_ST_TYPE(symbol.st_info);
		if ((type == STT_FUNC || type == STT_NOTYPE || type == STT_GNU_IFUNC) &&
		    (distance != nearest || covers != is_covered || is_better(&symbol, &best, names))) {
			best = symbol;
			nearest = distance;
			is_covered = covers;
		}
	}
	if (nearest == UINT64_MAX || (!is_covered && (best.st_size != 0 ||
	    !section_at(elf, bytes, best.st_shndx, &section) ||
	    address - section.sh_addr >= section.sh_size)))
		return NULL;
	return names + best.st_name;
}

/* The C library's variants for each processor have no exported names: by what they stand for. */
static const char *c_library_name(uint64_t start)
{
#define NAMED(function) { (uint64_t)(uintptr_t)function, #function }
	const struct { uint64_t start; const char *name; } known[] = {
		NAMED(memset), NAMED(memcpy), NAMED(memmove), NAMED(mempcpy), NAMED(memcmp),
		NAMED(memchr), NAMED(strcpy), NAMED(strncpy), NAMED(stpcpy), NAMED(strcat),
		NAMED(strncat), NAMED(strlen), NAMED(strcmp),
	};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].start == start)
			return known[i].name;
	return NULL;
}

static void name_frame(const struct mapping *mapping, uint64_t offset, struct mg_frame *frame)
{
	struct module *module = mapping->module;
	size_t length = strlen(module->path), cut = sizeof frame->module - 1;
	const uint8_t *elf = elf_of(mapping);
	const char *name;

	memset(frame, 0, sizeof *frame);
	frame->module_offset = offset;
	/* Of a long path the end says more. */
	memcpy(frame->module, module->path + (length > cut ? length - cut : 0),
	       length > cut ? cut : length);
	if (elf == NULL)
		return;
	name = best_symbol(elf, module->elf_bytes, ".symtab", ".strtab", offset);
	if (name == NULL)
		name = best_symbol(elf, module->elf_bytes, ".dynsym", ".dynstr", offset);
	if (name == NULL && module->eh_frame_hdr != 0)
		name = c_library_name(mg_cfi_function(module->eh_frame_hdr, mapping->bias + offset));
	if (name != NULL)
		mg_demangle(name, frame->function, sizeof frame->function);
	mg_line(elf, module->elf_bytes, offset, frame);
}

/* Names found before: looking them up costs a thousand times more. */
static struct named {
	_Atomic uint32_t version; /* odd: somebody writes */
	struct module *module;
	struct mg_frame frame;
} found[FOUND + WAYS];

static bool recall(const struct module *module, uint64_t offset, struct mg_frame *frame)
{
	for (struct named *named = &found[offset % FOUND], *end = named + WAYS; named < end; named++) {
		uint32_t version = atomic_load(&named->version);

		if ((version & 1) || named->module != module || named->frame.module_offset != offset)
			continue;
		*frame = named->frame;
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load(&named->version) == version)
			return true;
	}
	return false;
}

static void keep(struct module *module, const struct mg_frame *frame)
{
	struct named *named = &found[frame->module_offset % FOUND], *end = named + WAYS;
	uint32_t version;

	while (named->module != NULL && named < end - 1)
		named++;
	version = atomic_load(&named->version) & ~1u;
	if (!atomic_compare_exchange_strong(&named->version, &version, version + 1))
		return;
	named->frame = *frame;
	named->module = module;
	atomic_store(&named->version, version + 2);
}

HANDLER bool mg_symbol(uint64_t pc, bool is_return_address, struct mg_frame *frame)
{
	uint64_t at = pc - is_return_address;
	struct mapping mapping;
	bool has_module = find(at, &mapping) && mapping.module != NULL;

	if (!has_module)
		memset(frame, 0, sizeof *frame);
	else if (!recall(mapping.module, at - mapping.bias, frame)) {
		name_frame(&mapping, at - mapping.bias, frame);
		keep(mapping.module, frame);
	}
	frame->kind = MG_FRAME_NATIVE;
	frame->pc = pc;
	return has_module;
}

int mg_symbols_start(void)
{
	struct mapping mapping;

	return find((uint64_t)(uintptr_t)mg_symbols_start, &mapping) ? 0 : -ENOENT;
}
