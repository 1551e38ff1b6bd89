/*
 * Text made in a signal handler.
 */
#ifndef MILLRACE_REPORT_FORMAT_H
#define MILLRACE_REPORT_FORMAT_H

#include "report.h"

struct mg_out { char *at, *end; bool is_json, is_full; };

/* Appends. %s text from anywhere (cleaned: valid UTF-8, no control characters, escaped for JSON),
   %d %u %z (in JSON null for 0) 32 bits, %D %U 64 bits, %2 two digits at least, %X 64 bits in hex,
   %A nanoseconds as a length of time, %T as RFC 3339, %B bytes and their uint32_t count. */
HANDLER void mg_say(struct mg_out *out, const char *format, ...);

#endif
