#include <sonicio/stats.h>

#include "base/root.h"

void
sonic_stats_add(sonic_stats *s, double value)
{
    double from_old;

    if (value != value)
        return;
    if (s->count == 0)
        s->min = s->max = value;
    else if (value < s->min)
        s->min = value;
    else if (value > s->max)
        s->max = value;
    s->count++;
    from_old = value - s->mean;
    s->mean += from_old / (double)s->count;
    s->squares += from_old * (value - s->mean);
}

void
sonic_stats_merge(sonic_stats *s, const sonic_stats *from)
{
    const sonic_stats a = *s, b = *from;
    double n = (double)a.count + (double)b.count, apart = b.mean - a.mean;

    if (b.count == 0)
        return;
    if (a.count == 0) {
        *s = b;
        return;
    }
    s->count = a.count + b.count;
    s->mean = a.mean + apart * ((double)b.count / n);
    s->squares = a.squares + b.squares +
                 apart * apart * ((double)a.count * ((double)b.count / n));
    s->min = b.min < a.min ? b.min : a.min;
    s->max = b.max > a.max ? b.max : a.max;
}

void
sonic_stats_reset(sonic_stats *s)
{
    *s = (sonic_stats){0};
}

uint64_t
sonic_stats_count(const sonic_stats *s)
{
    return s->count;
}

double
sonic_stats_min(const sonic_stats *s)
{
    return s->min;
}

double
sonic_stats_max(const sonic_stats *s)
{
    return s->max;
}

double
sonic_stats_mean(const sonic_stats *s)
{
    return s->mean;
}

double
sonic_stats_variance(const sonic_stats *s)
{
    return s->count == 0 ? 0 : s->squares / (double)s->count;
}

double
sonic_stats_stddev(const sonic_stats *s)
{
    return sonic__root(sonic_stats_variance(s));
}

double
sonic_stats_sample_variance(const sonic_stats *s)
{
    return s->count < 2 ? 0 : s->squares / (double)(s->count - 1);
}

double
sonic_stats_sample_stddev(const sonic_stats *s)
{
    return sonic__root(sonic_stats_sample_variance(s));
}

bool
sonic_tracker_add(sonic_tracker *t, double value)
{
    uint64_t window = t->window != 0 ? t->window : 128;

    sonic_stats_add(&t->now, value);
    if (t->now.count < window)
        return false;
    t->last = t->now;
    sonic_stats_reset(&t->now);
    return true;
}
