#include "feed.h"

#include <string.h>

struct head {
    uint64_t feed, seq;
    int64_t sent;
};

/* The finalizer of SplitMix64: every bit of z moves every bit of the result. */
static uint64_t
mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t
first_word(const struct head *h)
{
    return mix(mix(mix(h->feed + 1) + h->seq) + (uint64_t)h->sent);
}

/* From one word to the next: the odd constant of the golden ratio. */
static uint64_t
step(uint64_t word)
{
    return word + UINT64_C(0x9e3779b97f4a7c15);
}

void
feed_write(void *dst, size_t size, uint64_t feed, uint64_t seq, int64_t now)
{
    const struct head h = {feed, seq, now};
    uint64_t word = first_word(&h);
    char *p = dst;

    memcpy(p, &h, FEED_HEAD);
    for (size_t i = FEED_HEAD; i + sizeof word <= size; i += sizeof word) {
        memcpy(p + i, &word, sizeof word);
        word = step(word);
    }
    memcpy(p + size - size % sizeof word, &word, size % sizeof word);
}

static int
intact(const struct feed_check *c, const struct head *h, const char *data,
       size_t len)
{
    uint64_t word = first_word(h), wrong = h->feed ^ c->feed, got;

    for (size_t i = FEED_HEAD; i + sizeof word <= len; i += sizeof word) {
        memcpy(&got, data + i, sizeof got);
        wrong |= got ^ word;
        word = step(word);
    }
    return wrong == 0 && memcmp(data + len - len % sizeof word, &word,
                                len % sizeof word) == 0;
}

int64_t
feed_read(struct feed_check *c, const void *data, size_t len)
{
    struct head h = {0, 0, 0};

    if (len == c->size)
        memcpy(&h, data, FEED_HEAD);
    if (len != c->size || !intact(c, &h, data, len)) {
        c->corrupt++;
        c->next++; /* it took somebody's place */
        return -1;
    }
    if (h.seq < c->next) {
        c->reordered++;
        return h.sent;
    }
    c->lost += h.seq - c->next;
    c->good++;
    c->next = h.seq + 1;
    return h.sent;
}

void
feed_finish(struct feed_check *c, uint64_t sent)
{
    if (c->next < sent)
        c->lost += sent - c->next;
    c->next = sent;
}
