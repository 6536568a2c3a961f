/* Addresses as text, and the payload of a close frame: what is parsed can be
 * written, and means the same when read again.
 *
 * Input: any bytes; they are taken as both. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/net/address.h"
#include "websocket/close.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 600 };

static void
need(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fuzz_text: %s\n", what);
        abort();
    }
}

static void
try_address(const char *text)
{
    char again[SONIC_ADDRESS_TEXT];
    sonic_address a, b;
    int err = sonic_address_parse(text, &a), n;

    need(err == 0 || err == SONIC_EADDRESS || err == SONIC_ERESOLVE,
         "another error");
    if (err < 0)
        return;
    n = sonic_address_format(&a, again, sizeof again);
    need(n > 0 && strlen(again) < sizeof again, "it cannot be written");
    need(sonic_address_parse(again, &b) == 0, "what was written is no address");
    need(a.len == b.len && memcmp(&a.storage, &b.storage, a.len) == 0,
         "it means something else");
}

static void
try_split(const char *text,
          int (*split)(const char *text, struct sonic__address_parts *out))
{
    struct sonic__address_parts p;
    int err = split(text, &p);

    need(err == 0 || err == SONIC_EADDRESS, "another error of split");
    if (err < 0)
        return;
    need(memchr(p.host, '\0', sizeof p.host) != NULL, "a host without end");
    need((p.kind == SONIC__ADDRESS_NAME) == (p.host[0] != '\0'),
         "a name, or none");
    need(p.kind == SONIC__ADDRESS_NAME || p.address.len > 0, "no address");
}

static void
try_close(const uint8_t *data, size_t size)
{
    uint8_t again[2 + SONIC__WS_REASON_MAX];
    const uint8_t *reason;
    uint16_t code;
    size_t len;
    int err = sonic__ws_close_parse(data, size, &code, &reason, &len), n;

    need(err == 0 || err == SONIC_EWS_CLOSE || err == SONIC_EWS_UTF8,
         "another error of close");
    if (err < 0 || size == 0)
        return;
    need(len <= SONIC__WS_REASON_MAX && reason == (len > 0 ? data + 2 : NULL),
         "a reason out of its place");
    n = sonic__ws_close_encode(again, code, reason, len);
    need(n == (int)size && memcmp(again, data, size) == 0,
         "it is not written as it was read");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size > TEXT_MAX)
        return 0;
    try_close(data, size);
    text = malloc(size + 1);
    need(text != NULL, "out of memory");
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    try_address(text);
    try_split(text, sonic__address_split);
    try_split(text, sonic__address_split_udp);
    free(text);
    return 0;
}
