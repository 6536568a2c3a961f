/* common.h - what several commands need */
#ifndef SONICIO_TOOLS_COMMON_H
#define SONICIO_TOOLS_COMMON_H

#include <stdio.h>

#include <sonicio/histogram.h>
#include <sonicio/io.h>

#include "args.h"

#define NS_PER_S INT64_C(1000000000)

/* ---- running ---------------------------------------------------------- */

/* What --backend takes; add 1 for enum sonic_backend. */
extern const char *const backend_names[];

enum run_mode { RUN_BLOCKING, RUN_WARM, RUN_SPINNING };

/* Run until there is no work or sonic_io_stop; 0 or the error. */
int run_io(sonic_io *io, enum run_mode mode);

/* As many descriptors as this process may have. */
void raise_descriptor_limit(void);

int64_t monotonic_now(void);

/* From now on SIGINT and SIGTERM stop the io. */
int stop_on_signal(sonic_io *io);

/* ---- figures ---------------------------------------------------------- */

enum { GROUPED = 27 }; /* room for a grouped number */

/* 1234567 as "1,234,567"; returns text. */
const char *grouped(uint64_t n, char text[GROUPED]);

/* A count and what is counted, "1 message" or "2,000 messages": name is that
 * of one, which takes an s.  In a buffer that the next but three reuses. */
const char *counted(uint64_t n, const char *name);

/* What a stranger said, in a form that a terminal takes for nothing else:
 * control characters as \xNN, but for those of `spare`; cut to the room. */
const char *printable(const char *text, size_t len, const char *spare,
                      char *out, size_t room);

/* "min 9.1 us  p50 10.2 us ... max 1.03 ms", two lines, each after indent. */
void print_latency(FILE *out, const sonic_histogram *h, const char *indent);

/* The drawing, as wide and as rich as the terminal shows it. */
void draw_latency(FILE *out, const sonic_histogram *h, const char *indent);

/* ---- JSON (RFC 8259) -------------------------------------------------- */

/* One object on one line, written as it comes.  Names are not escaped. */
struct json {
    FILE *out;
    bool more; /* a comma is due */
};

void json_begin(struct json *j, const char *name); /* NULL: the outermost */
void json_end(struct json *j);
void json_count(struct json *j, const char *name, uint64_t n);
void json_real(struct json *j, const char *name, double v);
void json_bool(struct json *j, const char *name, bool v);
void json_text(struct json *j, const char *name, const char *text);
/* An object with count, min, max, mean, stddev and p50 to p99.99; times are in
 * nanoseconds. */
void json_latency(struct json *j, const char *name, const sonic_histogram *h);

#endif
