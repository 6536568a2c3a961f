/* A histogram for people. */
#include <sonicio/histogram.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/pack.h"

enum {
    MAX_ROWS = 64,
    WIDTH_DEFAULT = 80,
    WIDTH_MIN = 60,
    ROWS_DEFAULT = 20,
    ROWS_MIN = 20,  /* enough for one of each power of ten */
    LABEL = 8,      /* columns of a value */
    AROUND_BAR = 50 /* columns of a row besides its bar */
};

/* The E24 series of IEC 60063, in tenths.  Every 2nd, 4th, 8th and 24th of
 * them make coarser series. */
static const uint8_t steps[24] = {10, 11, 12, 13, 15, 16, 18, 20,
                                  22, 24, 27, 30, 33, 36, 39, 43,
                                  47, 51, 56, 62, 68, 75, 82, 91};
static const unsigned strides[] = {1, 2, 4, 8, 24};

struct drawing {
    FILE *out;
    sonic_histogram_drawing how;
    unsigned n;
    int64_t low[MAX_ROWS + 1]; /* row i holds low[i] <= v < low[i + 1] */
    uint64_t count[MAX_ROWS];
    unsigned at; /* the row that collects */
};

/* Divide by 1000 until three digits remain, and name the unit. */
static const char *
scale(double *v)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    unsigned u = 0;

    /* 999.5 is 1000 in three digits: the next unit's. */
    while (u < 3 && (*v >= 999.5 || *v <= -999.5)) {
        *v /= 1000;
        u++;
    }
    return units[u];
}

int
sonic_histogram_format(int64_t ns, char *text, size_t cap)
{
    double v = (double)ns;
    const char *unit = scale(&v);
    double size = v < 0 ? -v : v;
    int digits = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
    int n = snprintf(text, cap, "%.*f %s", *unit == 'n' ? 0 : digits, v, unit);

    return n < 0 || (size_t)n >= cap ? SONIC_ETOOBIG : n;
}

/* A row's edge: "2.2 us", "10 us". */
static void
format_edge(const struct drawing *d, int64_t v, char *text, size_t cap)
{
    double scaled = (double)v;

    if (d->how.unit != NULL)
        snprintf(text, cap, "%" PRId64 "%s%s", v, *d->how.unit ? " " : "",
                 d->how.unit);
    else {
        const char *unit = scale(&scaled);

        snprintf(text, cap, scaled < 1000 ? "%.3g %s" : "%.0f %s", scaled,
                 unit);
    }
}

/* ---- rows ------------------------------------------------------------- */

/* The i-th edge of the series with this stride: 1, then up. */
static int64_t
edge(unsigned stride, unsigned i)
{
    unsigned per_decade = 24 / stride;
    double v = steps[i % per_decade * stride];

    for (unsigned k = i / per_decade; k > 0; k--)
        v *= 10;
    v /= 10;
    return v < (double)INT64_MAX ? (int64_t)v : INT64_MAX;
}

/* More rows, up to the edge above `to`, the first of which holds `from`.
 * false: they would be more than `limit` in all; nothing is changed then. */
static bool
add_rows(struct drawing *d, unsigned stride, int64_t from, int64_t to,
         unsigned limit)
{
    unsigned before = d->n;
    int64_t last = before > 0 ? d->low[before] : 0;

    for (unsigned i = 0; last <= to && last < INT64_MAX; i++) {
        int64_t e = edge(stride, i);

        if (e > last && e > from) {
            if (d->n == limit) {
                d->n = before;
                return false;
            }
            d->low[d->n++] = last;
        }
        if (e > last)
            d->low[d->n] = last = e;
    }
    return true;
}

/* The finest rows of which there is room for these values. */
static bool
add_finest(struct drawing *d, unsigned coarsest, int64_t from, int64_t to,
           unsigned limit)
{
    for (size_t i = 0; i < sizeof strides / sizeof strides[0]; i++)
        if (strides[i] <= coarsest && add_rows(d, strides[i], from, to, limit))
            return true;
    return false;
}

/* Most rows go to the 99 % that matter most: one stray value far out must not
 * press them into a single one.  Yet no row of the others shall be a whole
 * power of ten, if that can be. */
static void
choose_rows(struct drawing *d, const sonic_histogram *h)
{
    int64_t min = sonic_histogram_min(h), max = sonic_histogram_max(h);
    int64_t body = sonic_histogram_percentile(h, 99);

    memset(d->count, 0, sizeof d->count);
    d->at = 0;
    if (min == INT64_MAX)
        min--; /* so that an edge lies above it */
    for (unsigned coarsest = 8; coarsest <= 24; coarsest += 16)
        for (unsigned limit = d->how.rows; limit > 0; limit--) {
            d->n = 0;
            if (add_finest(d, coarsest, min, body, limit) &&
                add_finest(d, coarsest, body, max, d->how.rows))
                return;
        }
    d->n = 0;
    add_rows(d, 24, min, max, d->how.rows);
}

static void
collect(int64_t low, int64_t high, uint64_t n, void *ud)
{
    struct drawing *d = ud;

    (void)high;
    while (d->at + 1 < d->n && low >= d->low[d->at + 1])
        d->at++;
    d->count[d->at] += n;
}

/* ---- drawing ---------------------------------------------------------- */

/* A bar of `eighths` of a column, filled up to `width` columns. */
static void
draw_bar(const struct drawing *d, uint64_t eighths, unsigned width)
{
    static const char *const parts[] = {"",
                                        "\xe2\x96\x8f",
                                        "\xe2\x96\x8e",
                                        "\xe2\x96\x8d",
                                        "\xe2\x96\x8c",
                                        "\xe2\x96\x8b",
                                        "\xe2\x96\x8a",
                                        "\xe2\x96\x89"};
    bool ascii = d->how.ascii == SONIC_ON;
    unsigned full = (unsigned)(ascii ? (eighths + 7) / 8 : eighths / 8);
    unsigned rest = ascii ? 0 : (unsigned)(eighths % 8);

    for (unsigned i = 0; i < full; i++)
        fputs(ascii ? "#" : "\xe2\x96\x88", d->out);
    fputs(parts[rest], d->out);
    for (unsigned i = full + (rest > 0); i < width; i++)
        putc(' ', d->out);
}

/* The percentiles that lie in a row, and the maximum.  `below` is how many
 * values lie in the rows before. */
static void
draw_marks(const struct drawing *d, double below, double n, double all)
{
    static const struct {
        const char *name;
        double percent;
    } marks[] = {{"p50", 50},     {"p90", 90},       {"p99", 99},
                 {"p99.9", 99.9}, {"p99.99", 99.99}, {"max", 100}};
    const char *before = "  ";

    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        double rank = all / 100 * marks[i].percent;

        if (rank <= below || rank > below + n)
            continue;
        fprintf(d->out, "%s%s", before, marks[i].name);
        before = " ";
    }
}

static void
draw_row(const struct drawing *d, unsigned row, uint64_t most, uint64_t below,
         uint64_t all)
{
    unsigned width = d->how.width - AROUND_BAR;
    uint64_t n = d->count[row];
    /* In double: the product may pass 2^64.  Whatever there is shows. */
    uint64_t eighths = (uint64_t)((double)n / (double)most * width * 8);
    double share = (double)n / (double)all * 100;
    char low[32], high[32], percent[16];

    if (eighths == 0 && n > 0)
        eighths = 1;
    format_edge(d, d->low[row], low, sizeof low);
    format_edge(d, d->low[row + 1], high, sizeof high);
    snprintf(percent, sizeof percent, share < 0.01 && n > 0 ? "<0.01" : "%.2f",
             share);
    fprintf(d->out, "%s%*s - %*s ", d->how.indent != NULL ? d->how.indent : "",
            LABEL, low, LABEL, high);
    draw_bar(d, eighths, width);
    fprintf(d->out, " %10" PRIu64 " %6s %%", n, percent);
    draw_marks(d, (double)below, (double)n, (double)all);
    putc('\n', d->out);
}

/* What the caller did not set, and what was out of range. */
static int
settle(sonic_histogram_drawing *how, const sonic_histogram_drawing *from)
{
    int err = sonic__options_copy(how, sizeof *how, from);

    if (how->width == 0)
        how->width = WIDTH_DEFAULT;
    if (how->width < WIDTH_MIN)
        how->width = WIDTH_MIN;
    if (how->rows == 0)
        how->rows = ROWS_DEFAULT;
    if (how->rows < ROWS_MIN)
        how->rows = ROWS_MIN;
    if (how->rows > MAX_ROWS)
        how->rows = MAX_ROWS;
    return err;
}

int
sonic_histogram_draw(const sonic_histogram *h, FILE *out,
                     const sonic_histogram_drawing *how)
{
    struct drawing d;
    uint64_t most = 0, below = 0;
    int err = settle(&d.how, how);

    if (err < 0)
        return err;
    d.out = out;
    if (sonic_histogram_count(h) == 0) {
        fprintf(out, "%s(nothing recorded)\n",
                d.how.indent != NULL ? d.how.indent : "");
        return ferror(out) ? -EIO : 0;
    }
    choose_rows(&d, h);
    sonic_histogram_each(h, collect, &d);
    while (d.count[d.n - 1] == 0)
        d.n--; /* the greatest was drawn in the row before */
    for (unsigned i = 0; i < d.n; i++)
        most = d.count[i] > most ? d.count[i] : most;
    for (unsigned i = 0; i < d.n; below += d.count[i++])
        draw_row(&d, i, most, below, sonic_histogram_count(h));
    return ferror(out) ? -EIO : 0;
}
