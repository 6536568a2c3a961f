/* packet.h - the packets that have fields.  SoupBinTCP 3.00, section 2.
 *
 * What is read and written here is what follows the type. */
#ifndef SONICIO_SOUP_PACKET_H
#define SONICIO_SOUP_PACKET_H

#include <sonicio/soup.h>

/* The types, sections 2.1 to 2.3. */
enum {
    SONIC__SOUP_DEBUG = '+',
    SONIC__SOUP_ACCEPTED = 'A',
    SONIC__SOUP_REJECTED = 'J',
    SONIC__SOUP_SEQUENCED = 'S',
    SONIC__SOUP_SERVER_BEAT = 'H',
    SONIC__SOUP_END = 'Z',
    SONIC__SOUP_LOGIN = 'L',
    SONIC__SOUP_UNSEQUENCED = 'U',
    SONIC__SOUP_CLIENT_BEAT = 'R',
    SONIC__SOUP_LOGOUT = 'O'
};

enum {
    SONIC__SOUP_NUMBER = 20, /* digits and blanks */
    SONIC__SOUP_LOGIN_SIZE = 6 + 10 + 10 + SONIC__SOUP_NUMBER,
    SONIC__SOUP_ACCEPTED_SIZE = 10 + SONIC__SOUP_NUMBER
};

/* Is text what a field of that many characters can carry? */
bool sonic__soup_fits(const char *text, size_t max);

/* The texts fit. */
void sonic__soup_write_login(uint8_t out[SONIC__SOUP_LOGIN_SIZE],
                             const sonic_soup_login *login);
void sonic__soup_write_accepted(uint8_t out[SONIC__SOUP_ACCEPTED_SIZE],
                                const char *session, uint64_t next);

/* 0 or SONIC_ESOUP_PACKET. */
int sonic__soup_read_login(const uint8_t *data, size_t len,
                           sonic_soup_login *out);
int sonic__soup_read_accepted(const uint8_t *data, size_t len,
                              sonic_soup_position *out);

#endif
