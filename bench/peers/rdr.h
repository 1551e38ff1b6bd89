/*
 * RDRv1 for the yardsticks: the bytes of a frame, and what ends a program that meets others.
 *
 * One piece for all that follow lengths, so that what is measured beside ours does the same work.
 */
#pragma once
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_BYTES_MAX 10004
#define PREFIX_BYTES 5
#define LENGTH_MIN 15
#define HEADER_BYTES 20
#define FIELD_HEADER_BYTES 5

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

static void bad_stream(const char *what)
{
	fprintf(stderr, "%s: the stream is not RDRv1: %s\n", program_invocation_short_name, what);
	exit(1);
}

/* Whole frame: the prefix and what its four digits say. */
static inline size_t frame_bytes(const uint8_t *at)
{
	uint32_t digits;
	size_t value;

	memcpy(&digits, at + 1, 4);
	if ((digits & 0xf0f0f0f0) != 0x30303030 ||
	    ((digits + 0x06060606) & 0xf0f0f0f0) != 0x30303030)
		bad_stream("no digits where the length should be");
	value = (size_t)(at[1] - '0') * 1000 + (size_t)(at[2] - '0') * 100 +
		(size_t)(at[3] - '0') * 10 + (size_t)(at[4] - '0');
	if (value < LENGTH_MIN)
		bad_stream("a length below 15");
	return PREFIX_BYTES + value;
}
