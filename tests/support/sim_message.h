/* Messages that both ends of a session can work out for themselves. */
#ifndef SONICIO_TESTS_SIM_MESSAGE_H
#define SONICIO_TESTS_SIM_MESSAGE_H

#include <sonicio/api.h>

/* The nth message of a sender, known by its salt. */
size_t message_length(uint64_t salt, unsigned n, size_t most);
bool message_is_text(uint64_t salt, unsigned n);
/* Bytes [from, from + len) of it, of `length` in all; text is UTF-8. */
void message_bytes(uint64_t salt, unsigned n, size_t length, size_t from,
                   uint8_t *to, size_t len);
bool message_is(uint64_t salt, unsigned n, size_t length, size_t from,
                const uint8_t *got, size_t len);

#endif
