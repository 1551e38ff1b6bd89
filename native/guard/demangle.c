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
	if (length >= name->bytes - name->used) {
		name->is_bad = true;
		return;
	}
	memcpy(name->out + name->used, text, length);
	name->used += length;
}

/* <length> of a source name; the text must be there. */
static size_t length_at(struct name *name)
{
	size_t length = 0;

	while (*name->at >= '0' && *name->at <= '9' && length < 1000)
		length = length * 10 + (size_t)(*name->at++ - '0');
	if (strnlen(name->at, length) < length)
		name->is_bad = true;
	return name->is_bad ? 0 : length;
}

/* S_, S0_, T_, T0_ and the like, or St, Sa, Ss .. */
static void skip_back_reference(struct name *name)
{
	bool is_template = *name->at++ == 'T';

	if (!is_template && *name->at >= 'a' && *name->at <= 'z') {
		name->at++;
		return;
	}
	while ((*name->at >= '0' && *name->at <= '9') || (*name->at >= 'A' && *name->at <= 'Z'))
		name->at++;
	name->is_bad |= *name->at != '_';
	name->at += *name->at == '_';
}

/* L <type> <value> E; a literal's digits are no length. */
static void skip_literal(struct name *name)
{
	if (name->at[1] == '_' || name->at[1] < 'a' || name->at[1] > 'z') {
		name->is_bad = true; /* of a named type, or an address: rare */
		return;
	}
	for (name->at += 2; *name->at != 'E' && *name->at != 0; name->at++)
		;
	name->is_bad |= *name->at != 'E';
	name->at += *name->at == 'E';
}

/* I .. E: template arguments, with all that nests within. */
static void skip_arguments(struct name *name)
{
	int depth = 0;

	do {
		char c = *name->at;

		if (c >= '0' && c <= '9') {
			name->at += length_at(name);
		} else if (c == 'L') {
			skip_literal(name);
		} else if (c == 'S' || c == 'T') {
			skip_back_reference(name);
		} else if (c == 0 || c == 'X' || c == 'A' || c == 'D' || c == 'Z') {
			name->is_bad = true; /* expressions, arrays, decltype, local names */
		} else {
			depth += c == 'I' || c == 'N' || c == 'J' || c == 'F';
			depth -= c == 'E';
			name->at++;
		}
	} while (depth > 0 && !name->is_bad);
}

static bool put_part(struct name *name, const char **last, size_t *last_length)
{
	char c = *name->at;

	if (c == 'L')
		c = *++name->at; /* internal linkage */
	if (c >= '0' && c <= '9') {
		*last_length = length_at(name);
		*last = name->at;
		name->at += *last_length;
		if (*last_length >= 10 && memcmp(*last, "_GLOBAL__N", 10) == 0)
			put(name, "(anonymous)", 11);
		else
			put(name, *last, *last_length);
	} else if (c == 'S' && name->at[1] == 't') {
		put(name, "std", 3);
		name->at += 2;
	} else if (((c == 'C' && name->at[1] >= '1' && name->at[1] <= '3') ||
		    (c == 'D' && name->at[1] >= '0' && name->at[1] <= '2')) && *last != NULL) {
		put(name, "~", c == 'D');
		put(name, *last, *last_length);
		name->at += 2;
	} else if (c == 'c' && name->at[1] == 'l') {
		put(name, "operator()", 10);
		name->at += 2;
	} else {
		return false;
	}
	return !name->is_bad;
}

static bool put_name(struct name *name)
{
	const char *last = NULL;
	size_t last_length = 0;
	bool is_nested = *name->at == 'N', is_first = true;

	if (is_nested)
		name->at++;
	while (is_nested && strchr("rVKRO", *name->at) != NULL && *name->at != 0)
		name->at++;
	for (;;) {
		bool is_std = name->at[0] == 'S' && name->at[1] == 't';

		if (!is_first)
			put(name, "::", 2);
		if (!put_part(name, &last, &last_length))
			return false;
		is_first = false;
		if (*name->at == 'I') {
			put(name, "<>", 2);
			skip_arguments(name);
		}
		if (name->is_bad || (!is_nested && !is_std))
			return !name->is_bad;
		if (is_nested && *name->at == 'E')
			return true;
	}
}

HANDLER void mg_demangle(const char *mangled, char *out, size_t bytes)
{
	struct name name = { mangled + 2, out, 0, bytes, false };
	size_t length;

	if (mangled[0] == '_' && mangled[1] == 'Z' && put_name(&name)) {
		out[name.used] = 0;
		return;
	}
	/* C: what the compiler (.part.0, .constprop.0) or the linker (@GLIBC) added goes. */
	length = mangled[0] == '_' && mangled[1] == 'Z' ? strlen(mangled) :
		 1 + strcspn(mangled + 1, ".@");
	if (mangled[0] == 0)
		length = 0;
	if (length >= bytes)
		length = bytes - 1;
	memcpy(out, mangled, length);
	out[length] = 0;
}
