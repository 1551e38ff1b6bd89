/*
 * Text made in a signal handler: stdio allocates and locks, libc's time reads files; this does not.
 */
#include <stdarg.h>

#include "format.h"

/* Bytes of the UTF-8 character at text; 0: not valid, or a control character. */
HANDLER static size_t character_bytes(const unsigned char *text)
{
	static const unsigned least[] = { 0x20, 0x80, 0x800, 0x10000 };
	unsigned more = (*text >= 0xc0) + (*text >= 0xe0) + (*text >= 0xf0);
	unsigned code = *text & (more ? 0x3f >> more : 0xff);

	if ((*text >= 0x80 && more == 0) || *text >= 0xf8)
		return 0;
	for (unsigned i = 1; i <= more; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (code < least[more] || (code >= 0x7f && code < 0xa0) || code > 0x10ffff ||
	    (code >= 0xd800 && code < 0xe000))
		return 0;
	return more + 1;
}

HANDLER static void put(struct mg_out *out, const char *text, size_t bytes)
{
	out->is_full |= bytes > (size_t)(out->end - out->at);
	if (out->is_full)
		return;
	memcpy(out->at, text, bytes);
	out->at += bytes;
}

/* Text from elsewhere: what could break the line, the terminal or the JSON does not pass. */
HANDLER static void put_text(struct mg_out *out, const char *text)
{
	const char *from = text = text ? text : ""; /* what is not put yet */
	size_t bytes;

	for (int left = 255; *text && left > 0; left--, text += bytes) {
		bytes = character_bytes((const unsigned char *)text);
		if (bytes > 0 && !(out->is_json && (*text == '"' || *text == '\\')))
			continue;
		put(out, from, (size_t)(text - from));
		put(out, bytes ? "\\" : "\xef\xbf\xbd", bytes ? bytes : 3); /* U+FFFD */
		from = bytes ? text : text + 1;
		bytes = 1;
	}
	put(out, from, (size_t)(text - from));
}

HANDLER static void put_number(struct mg_out *out, uint64_t number, unsigned base, int digits)
{
	char text[24], *at = text + sizeof text;

	for (; number || digits > 0; number /= base, digits--)
		*--at = "0123456789abcdef"[number % base];
	put(out, at, (size_t)(text + sizeof text - at));
}

/* RFC 3339 in UTC; in JSON a string, or null for never. The arithmetic's years begin in March. */
HANDLER static void put_time(struct mg_out *out, uint64_t ns)
{
	uint64_t seconds = ns / 1000000000, days = seconds / 86400 + 719468;
	uint32_t era = (uint32_t)(days / 146097), day = days % 146097, second = seconds % 86400;
	uint32_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365, month;

	if (ns == 0 && out->is_json) {
		put(out, "null", 4);
		return;
	}
	day -= 365 * year + year / 4 - year / 100;
	month = (5 * day + 2) / 153;
	day -= (153 * month + 2) / 5;
	month = month < 10 ? month + 3 : month - 9;
	put(out, "\"", out->is_json);
	put_number(out, year + era * 400 + (month <= 2), 10, 4);
	mg_say(out, "-%2-%2T%2:%2:%2.", month, day + 1, second / 3600, second / 60 % 60, second % 60);
	put_number(out, ns % 1000000000, 10, 9);
	put(out, "Z\"", 1 + (size_t)out->is_json);
}

HANDLER static void put_duration(struct mg_out *out, uint64_t ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	uint64_t tenths = ns * 10;
	int unit = 0;

	for (; tenths >= 10000 && unit < 3; unit++)
		tenths /= 1000;
	mg_say(out, "%U.%U %s", tenths / 10, tenths % 10, units[unit]);
}

HANDLER static void put_bytes(struct mg_out *out, const uint8_t *bytes, uint32_t count)
{
	for (uint32_t i = 0; i < count && i < MG_BYTES_MAX; i++) {
		if (i > 0 && !out->is_json)
			put(out, " ", 1);
		put_number(out, bytes[i], 16, 2);
	}
	if (count == 0 && !out->is_json)
		put(out, "not known", 9);
}

HANDLER static void put_signed(struct mg_out *out, int64_t number)
{
	if (number < 0)
		put(out, "-", 1);
	put_number(out, number < 0 ? -(uint64_t)number : (uint64_t)number, 10, 1);
}

HANDLER static void put_known(struct mg_out *out, uint32_t number)
{
	if (number)
		put_number(out, number, 10, 1);
	else
		put(out, "null", 4);
}

HANDLER void mg_say(struct mg_out *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	for (; *format; format++) {
		size_t plain = strcspn(format, "%");

		put(out, format, plain);
		if (*(format += plain) == 0)
			break;
		switch (*++format) {
		case 's': put_text(out, va_arg(args, const char *)); break;
		case 'd': put_signed(out, va_arg(args, int32_t)); break;
		case 'D': put_signed(out, va_arg(args, int64_t)); break;
		case 'u': put_number(out, va_arg(args, uint32_t), 10, 1); break;
		case '2': put_number(out, va_arg(args, uint32_t), 10, 2); break;
		case 'z': put_known(out, va_arg(args, uint32_t)); break;
		case 'U': put_number(out, va_arg(args, uint64_t), 10, 1); break;
		case 'X': put(out, "0x", 2); put_number(out, va_arg(args, uint64_t), 16, 1); break;
		case 'T': put_time(out, va_arg(args, uint64_t)); break;
		case 'A': put_duration(out, va_arg(args, uint64_t)); break;
		case 'B': {
			const uint8_t *bytes = va_arg(args, const uint8_t *);

			put_bytes(out, bytes, va_arg(args, uint32_t));
			break;
		}
		}
	}
	va_end(args);
}
