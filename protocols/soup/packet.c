#include "soup/packet.h"

#include <string.h>

#include <sonicio/error.h>

/* What a field may hold, blanks at its ends apart. */
static bool
is_text(uint8_t c)
{
    return c > ' ' && c < 0x7f;
}

bool
sonic__soup_fits(const char *text, size_t max)
{
    size_t n = 0;

    while (text[n] != '\0') {
        if (n == max || !is_text((uint8_t)text[n]))
            return false;
        n++;
    }
    return true;
}

static uint8_t
lower(char c)
{
    return (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool
sonic_soup_same(const char *a, const char *b)
{
    while (*a != '\0' && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return *a == *b;
}

/* Text on the left, blanks on the right: user and password. */
static uint8_t *
put_left(uint8_t *out, size_t size, const char *text)
{
    size_t n = strlen(text);

    memcpy(out, text, n);
    memset(out + n, ' ', size - n);
    return out + size;
}

/* Blanks on the left, text on the right: sessions and numbers. */
static uint8_t *
put_right(uint8_t *out, size_t size, const char *text)
{
    size_t n = strlen(text);

    memset(out, ' ', size - n);
    memcpy(out + size - n, text, n);
    return out + size;
}

static uint8_t *
put_number(uint8_t *out, uint64_t value)
{
    char digits[SONIC__SOUP_NUMBER + 1];
    char *p = digits + SONIC__SOUP_NUMBER;

    *p = '\0';
    do {
        *--p = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return put_right(out, SONIC__SOUP_NUMBER, p);
}

void
sonic__soup_write_login(uint8_t out[SONIC__SOUP_LOGIN_SIZE],
                        const sonic_soup_login *login)
{
    out = put_left(out, SONIC_SOUP_USER_MAX, login->user);
    out = put_left(out, SONIC_SOUP_PASSWORD_MAX, login->password);
    out = put_right(out, SONIC_SOUP_SESSION_MAX, login->session);
    put_number(out, login->sequence);
}

void
sonic__soup_write_accepted(uint8_t out[SONIC__SOUP_ACCEPTED_SIZE],
                           const char *session, uint64_t next)
{
    out = put_right(out, SONIC_SOUP_SESSION_MAX, session);
    put_number(out, next);
}

/* Peers pad on either side, whatever the section says: what counts is between
 * the blanks. */
static void
trim(const uint8_t **data, size_t *n)
{
    while (*n > 0 && **data == ' ') {
        ++*data;
        --*n;
    }
    while (*n > 0 && (*data)[*n - 1] == ' ')
        --*n;
}

static bool
get_text(const uint8_t *data, size_t size, char *out)
{
    trim(&data, &size);
    for (size_t i = 0; i < size; i++) {
        if (!is_text(data[i]))
            return false;
        out[i] = (char)data[i];
    }
    out[size] = '\0';
    return true;
}

static bool
get_number(const uint8_t *data, uint64_t *out)
{
    size_t n = SONIC__SOUP_NUMBER;
    uint64_t value = 0;

    trim(&data, &n);
    for (size_t i = 0; i < n; i++) {
        unsigned digit = data[i] - (unsigned)'0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return n > 0;
}

int
sonic__soup_read_login(const uint8_t *data, size_t len, sonic_soup_login *out)
{
    const uint8_t *password = data + SONIC_SOUP_USER_MAX;
    const uint8_t *session = password + SONIC_SOUP_PASSWORD_MAX;
    const uint8_t *number = session + SONIC_SOUP_SESSION_MAX;

    if (len != SONIC__SOUP_LOGIN_SIZE ||
        !get_text(data, SONIC_SOUP_USER_MAX, out->user) ||
        !get_text(password, SONIC_SOUP_PASSWORD_MAX, out->password) ||
        !get_text(session, SONIC_SOUP_SESSION_MAX, out->session) ||
        !get_number(number, &out->sequence))
        return SONIC_ESOUP_PACKET;
    return 0;
}

/* Section 1.2: the first message of a session has number 1. */
int
sonic__soup_read_accepted(const uint8_t *data, size_t len,
                          sonic_soup_position *out)
{
    if (len != SONIC__SOUP_ACCEPTED_SIZE ||
        !get_text(data, SONIC_SOUP_SESSION_MAX, out->session) ||
        !get_number(data + SONIC_SOUP_SESSION_MAX, &out->next) ||
        out->next == 0)
        return SONIC_ESOUP_PACKET;
    return 0;
}
