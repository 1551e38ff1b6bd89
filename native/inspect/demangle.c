/*
 * C++ names for people: nested names and templates of the Itanium ABI, without parameters.
 *
 * HANDLER  All of it: one pass over the name, into the caller's buffer.
 * REFUSED  The whole grammar (thousands of lines): template arguments are skipped, and where
 *          anything is not understood the mangled name stands, which c++filt can read.
 */
#include "inspect.h"

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
		} else if (c == 'L' && *name->at != '_') { /* type, value: digits are no length */
			if (*name->at < 'a' || *name->at > 'z')
				skip_arguments(name);
			name->at += strcspn(name->at, "E");
			name->is_bad |= *name->at++ == 0;
		} else if (c == 'S' && *name->at >= 'a' && *name->at <= 'z') {
			name->at++; /* std:: */
		} else if (c == 'S' || c == 'T') { /* what was before, a parameter: S_, S1_, T_ */
			name->at += strspn(name->at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
			name->is_bad |= *name->at != '_';
			name->at += *name->at == '_';
		} else {
			/* expressions, arrays, decltype, local names, addresses */
			name->is_bad |= c == 0 || strchr("XADZL", c) != NULL;
			depth += strchr("INJF", c) != NULL;
			depth -= c == 'E';
		}
	} while (depth > 0 && !name->is_bad);
}

static void put_part(struct name *name, const char **last, size_t *last_length)
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
		return;
	}
	if (strncmp(name->at, "St", 2) == 0)
		put(name, "std", 3);
	else if (strncmp(name->at, "cl", 2) == 0)
		put(name, "operator()", 10);
	else if ((*name->at == 'C' || *name->at == 'D') && name->at[1] >= '0' &&
		 name->at[1] <= '5' && *last != NULL)
		put(name, "~", *name->at == 'D'), put(name, *last, *last_length);
	else
		name->is_bad = true;
	name->at += name->is_bad ? 0 : 2;
}

static void put_name(struct name *name)
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
		put_part(name, &last, &last_length);
		if (*name->at == 'I' && !name->is_bad) {
			put(name, "<>", 2);
			skip_arguments(name);
		}
	} while (!name->is_bad && (is_std || (is_nested && *name->at != 'E')));
}

HANDLER void mg_demangle(const char *mangled, char *out, size_t bytes)
{
	bool is_cpp = strncmp(mangled, "_Z", 2) == 0, is_local = is_cpp && mangled[2] == 'Z';
	struct name name = { mangled + 2 + is_local, out, 0, bytes, !is_cpp };

	if (is_cpp)
		put_name(&name);
	if (is_local && !name.is_bad) { /* within a function */
		const char *what = strstr(name.at, "Ul") != NULL ? "::{lambda}" : "::{local}";

		put(&name, what, strlen(what));
	}
	if (name.is_bad) {
		/* What the compiler (.part.0) or the linker (@GLIBC) added to a name of C goes. */
		name.used = is_cpp || *mangled == 0 ? strlen(mangled) : 1 + strcspn(mangled + 1, ".@");
		name.used = name.used < bytes ? name.used : bytes - 1;
		memcpy(out, mangled, name.used);
	}
	out[name.used] = 0;
}
