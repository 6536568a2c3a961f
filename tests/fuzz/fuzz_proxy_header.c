/* Any bytes as a header of the PROXY protocol: one verdict, which more bytes
 * do not change, and every prefix before it wants more; addresses that are
 * addresses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/proxy_header.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
need(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fuzz_proxy_header: %s\n", what);
        abort();
    }
}

static int
parse(const uint8_t *data, size_t n, sonic_proxy_header *h)
{
    uint8_t *copy = malloc(n + 1);
    int took;

    need(copy != NULL, "out of memory");
    if (n > 0)
        memcpy(copy, data, n);
    took = sonic_proxy_header_parse(copy, n, h);
    free(copy);
    return took;
}

static void
look_at(const sonic_address *a)
{
    char text[SONIC_ADDRESS_TEXT];

    need(a->len <= sizeof a->storage, "a length");
    if (a->len > 0)
        need(sonic_address_format(a, text, sizeof text) >= 0, "an address");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonic_proxy_header h, again;
    int verdict = 0;

    if (size > SONIC_PROXY_HEADER_MAX + 10)
        return 0;
    for (size_t n = 0; n <= size; n++) {
        int took = parse(data, n, &h);

        need(took <= (int)n, "more than there is");
        need(took >= 0 || took == SONIC_EPROXY_HEADER, "another error");
        need(verdict == 0 || took == verdict, "a verdict does not stand");
        need(took <= 0 || verdict != 0 || took == (int)n, "it came too late");
        verdict = took;
    }
    if (verdict == 0) {
        need(size <= SONIC_PROXY_HEADER_MAX, "it never ends");
        return 0;
    }
    if (verdict < 0)
        return 0;
    need(parse(data, (size_t)verdict, &again) == verdict, "not the same");
    need(h.version == 1 || h.version == 2, "a version");
    need(h.local == (h.source.len == 0), "local, or an address");
    look_at(&h.source);
    look_at(&h.target);
    return 0;
}
