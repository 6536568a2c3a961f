#include "http.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool
head_read(struct wire *w, struct head *h)
{
    size_t n = 0;
    char *line, *rest;

    for (n = 4;; n++) {
        if (n >= HEAD_MAX || !wire_need(w, n))
            return false;
        if (memcmp(w->in.data + w->at + n - 4, "\r\n\r\n", 4) == 0)
            break;
    }
    memcpy(h->text, w->in.data + w->at, n - 2);
    h->text[n - 2] = '\0';
    h->len = n;
    h->n = 0;
    w->at += n;
    rest = h->text;
    for (bool first = true; (line = rest) != NULL && *line != '\0';
         first = false) {
        char *colon;

        rest = strstr(line, "\r\n");
        if (rest != NULL) {
            *rest = '\0';
            rest += 2;
        }
        colon = strchr(line, ':');
        if (first || colon == NULL || h->n == 128) {
            h->first = first ? line : h->first;
            continue;
        }
        *colon++ = '\0';
        h->field[h->n][0] = line;
        h->field[h->n++][1] = colon + strspn(colon, " \t");
    }
    return true;
}

const char *
head_field(const struct head *h, const char *name, bool *twice)
{
    const char *found = NULL;

    for (size_t i = 0; i < h->n; i++) {
        if (strcasecmp(h->field[i][0], name) != 0)
            continue;
        if (found != NULL && twice != NULL)
            *twice = true;
        found = h->field[i][1];
    }
    return found;
}

void
http_accept(const char *key, char out[29])
{
    char text[256];
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    snprintf(text, sizeof text, "%.200s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
             key);
    EVP_Digest(text, strlen(text), sum, &n, EVP_sha1(), NULL);
    EVP_EncodeBlock((unsigned char *)out, sum, (int)n);
}

void
http_ask(struct bytes *out, const char *path, const char *offer,
         char key[KEY_TEXT])
{
    unsigned char nonce[16];
    char text[2048];

    RAND_bytes(nonce, sizeof nonce);
    EVP_EncodeBlock((unsigned char *)key, nonce, sizeof nonce);
    snprintf(text, sizeof text,
             "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
             "Sec-WebSocket-Version: 13\r\n%s%s%s\r\n",
             path, key, offer != NULL ? "Sec-WebSocket-Extensions: " : "",
             offer != NULL ? offer : "", offer != NULL ? "\r\n" : "");
    bytes_add(out, text, strlen(text));
}

/* Whether a list of tokens has this one. */
static bool
lists(const char *list, const char *token)
{
    size_t n = strlen(token);

    for (; list != NULL && *list != '\0'; list += strcspn(list, ",")) {
        list += strspn(list, ", \t");
        if (strncasecmp(list, token, n) == 0 && strchr(", \t", list[n]) != NULL)
            return true;
    }
    return false;
}

const char *
http_check_answer(const struct head *h, const char *key, const char **agreed)
{
    char want[29];
    bool twice = false;
    const char *upgrade = head_field(h, "Upgrade", &twice);
    const char *accept = head_field(h, "Sec-WebSocket-Accept", &twice);

    if (strncmp(h->first, "HTTP/1.1 101 ", 13) != 0)
        return "4.1: the status is not 101";
    if (upgrade == NULL || strcasecmp(upgrade, "websocket") != 0)
        return "4.1: no Upgrade: websocket";
    if (!lists(head_field(h, "Connection", &twice), "Upgrade"))
        return "4.1: no Connection: Upgrade";
    http_accept(key, want);
    if (accept == NULL || strcmp(accept, want) != 0)
        return "4.1: Sec-WebSocket-Accept is wrong";
    if (head_field(h, "Sec-WebSocket-Protocol", &twice) != NULL)
        return "4.1: a subprotocol that was not asked for";
    *agreed = head_field(h, "Sec-WebSocket-Extensions", &twice);
    return twice ? "a field came twice" : NULL;
}

const char *
http_check_request(const struct head *h, const char **key, const char **offer)
{
    bool twice = false;
    const char *upgrade = head_field(h, "Upgrade", &twice);
    const char *version = head_field(h, "Sec-WebSocket-Version", &twice);
    unsigned char nonce[64];
    size_t n = strlen(h->first);

    if (strncmp(h->first, "GET /", 5) != 0 || n < 9 ||
        strcmp(h->first + n - 9, " HTTP/1.1") != 0)
        return "4.1: the request's line";
    if (head_field(h, "Host", &twice) == NULL)
        return "4.1: no Host";
    if (upgrade == NULL || !lists(upgrade, "websocket"))
        return "4.1: no Upgrade: websocket";
    if (!lists(head_field(h, "Connection", &twice), "Upgrade"))
        return "4.1: no Connection: Upgrade";
    if (version == NULL || strcmp(version, "13") != 0)
        return "4.1: the version is not 13";
    *key = head_field(h, "Sec-WebSocket-Key", &twice);
    if (*key == NULL || strlen(*key) != 24 ||
        EVP_DecodeBlock(nonce, (const unsigned char *)*key, 24) != 18)
        return "4.1: the key is not 16 bytes in base64";
    *offer = head_field(h, "Sec-WebSocket-Extensions", &twice);
    return twice ? "a field came twice" : NULL;
}

void
http_answer(struct bytes *out, const char *key, const char *agreed)
{
    char text[2048], accept[29];

    http_accept(key, accept);
    snprintf(text, sizeof text,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s%s%s\r\n",
             accept, agreed != NULL ? "Sec-WebSocket-Extensions: " : "",
             agreed != NULL ? agreed : "", agreed != NULL ? "\r\n" : "");
    bytes_add(out, text, strlen(text));
}
