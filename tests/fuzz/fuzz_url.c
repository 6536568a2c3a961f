/* Any text is taken for a URL: it is refused with a reason, or what comes out
 * is sound, and means the same when it is put together again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sonicio/error.h>
#include <sonicio/url.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static void
check_sound(const sonic_url *url, const char *text)
{
    size_t host = strnlen(url->host, sizeof url->host);

    must(host > 0 && host < sizeof url->host);
    must(strnlen(url->authority, sizeof url->authority) <
         sizeof url->authority);
    must((url->port == 0) == (url->kind == SONIC_URL_UNIX));
    must(url->resource >= text && url->resource <= text + strlen(text));
    for (const char *p = url->authority; *p != '\0'; p++)
        must(*p > ' ' && *p < 0x7f);
}

/* ws://AUTHORITY RESOURCE names the same place. */
static void
check_again(const sonic_url *url)
{
    static char text[2 * SONIC_URL_MAX];
    sonic_url again = SONIC_URL_INIT;
    int n = snprintf(text, sizeof text, "%s://%s%s", url->secure ? "wss" : "ws",
                     url->authority, url->resource);

    if (n > SONIC_URL_MAX || url->kind == SONIC_URL_UNIX ||
        strchr(url->host, '%') != NULL)
        return;
    must(sonic_url_parse(text, &again, NULL) == 0);
    must(again.kind == url->kind && again.port == url->port);
    must(strcmp(again.host, url->host) == 0);
    must(strcmp(again.authority, url->authority) == 0);
    must(strcmp(again.resource, url->resource) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sonic_url url = SONIC_URL_INIT;
    const char *why = NULL;
    char *text = malloc(size + 1);
    int err;

    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    err = sonic_url_parse(text, &url, &why);
    must(err == 0 || err == SONIC_EWS_URL);
    if (err == 0) {
        check_sound(&url, text);
        check_again(&url);
    } else {
        must(why != NULL && *why != '\0');
    }
    free(text);
    return 0;
}
