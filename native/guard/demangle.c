/*
 * C++ names for people: nested names and templates of the Itanium ABI, without parameters.
 *
 * HANDLER  All of it: one pass over the name, into the caller's buffer.
 * REFUSED  The whole grammar (thousands of lines): template arguments are skipped, and where
 *          anything is not understood the mangled name stands, which c++filt can read.
 */
#include "core.h"

struct name {
	const char *at;
	char *out;
	size_t used, bytes;
	bool is_bad;
};

static void put(struct name *name, const char *text, size_t length)
{
	name->is_bad |= length >= name->bytes - name->used;
	if (name->is_bad)
		return;
	memcpy(name->out + name->used, text, length);
	name->used += length;
}

/* <length> of a source name; the text must be there. */
static size_t length_at(struct name *name)
{
	size_t length = 0;

	while (*name->at >= '0' && *name->at <= '9' && length < 1000)
		length = length * 10 + (size_t)(*name->at++ - '0');
	name->is_bad |= strnlen(name->at, length) < length;
	return name->is_bad ? 0 : length;
}

/* I .. E: template arguments, with what nests within; the simple ones. */
static void skip_arguments(struct name *name)
{
	int depth = 0;

	do {
		char c = *name->at++;

		if (c >= '0' && c <= '9') {
			name->at--;
			name->at += length_at(name);
		} else if (c == 'L' && *name->at >= 'a' && *name->at <= 'z') {
			name->at += strcspn(name->at, "E"); /* a literal: its digits are no length */
			name->is_bad |= *name->at++ == 0;
		} else if (c == 'S' && *name->at >= 'a' && *name->at <= 'z') {
			name->at++; /* std:: */
		} else if (c == 'S' || c == 'T') { /* what was before, a parameter: S_, S1_, T_ */
			name->at += strspn(name->at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
			name->is_bad |= *name->at != '_';
			name->at += *name->at == '_';
		} else {
			/* expressions, arrays, decltype, local names, literals of named types */
			name->is_bad |= c == 0 || strchr("XADZL", c) != NULL;
			depth += strchr("INJF", c) != NULL;
			depth -= c == 'E';
		}
	} while (depth > 0 && !name->is_bad);
}

static bool put_part(struct name *name, const char **last, size_t *last_length)
{
	name->at += *name->at == 'L'; /* internal linkage */
	if (*name->at >= '0' && *name->at <= '9') {
		*last_length = length_at(name);
		*last = name->at;
		name->at += *last_length;
		if (strncmp(*last, "_GLOBAL__N", 10) == 0)
			put(name, "(anonymous)", 11);
		else
			put(name, *last, *last_length);
		return !name->is_bad;
	}
	if (strncmp(name->at, "St", 2) == 0) {
		put(name, "std", 3);
	} else if (strncmp(name->at, "cl", 2) == 0) {
		put(name, "operator()", 10);
	} else if ((*name->at == 'C' || *name->at == 'D') && name->at[1] >= '0' &&
		   name->at[1] <= '3' && *last != NULL) {
		put(name, "~", *name->at == 'D');
		put(name, *last, *last_length);
	} else {
		return false;
	}
	name->at += 2;
	return !name->is_bad;
}

static bool put_name(struct name *name)
{
	const char *last = NULL;
	size_t last_length = 0;
	bool is_nested = *name->at == 'N', is_std;

	name->at += is_nested;
	name->at += is_nested ? strspn(name->at, "rVKRO") : 0;
	do {
		is_std = strncmp(name->at, "St", 2) == 0;
		if (name->used > 0)
			put(name, "::", 2);
		if (!put_part(name, &last, &last_length))
			return false;
		if (*name->at == 'I') {
			put(name, "<>", 2);
			skip_arguments(name);
		}
	} while (!name->is_bad && (is_std || (is_nested && *name->at != 'E')));
	return !name->is_bad;
}

HANDLER void mg_demangle(const char *mangled, char *out, size_t bytes)
{
	struct name name = { mangled + 2, out, 0, bytes, false };
	bool is_cpp = strncmp(mangled, "_Z", 2) == 0;

	if (!is_cpp || !put_name(&name)) {
		/* What the compiler (.part.0) or the linker (@GLIBC) added to a name of C goes. */
		name.used = is_cpp || *mangled == 0 ? strlen(mangled) : 1 + strcspn(mangled + 1, ".@");
		name.used = name.used < bytes ? name.used : bytes - 1;
		memcpy(out, mangled, name.used);
	}
	out[name.used] = 0;
}
