/* ws_script.h - frames written as words, for tests of the parser
 *
 *   [r]KIND[+]PAYLOAD   r sets RSV1; KIND is t text, b binary, c continuation,
 *                       x close, p ping, o pong; + clears FIN.  In PAYLOAD,
 *                       %xx is a byte and *N (alone) is N times 'z'.
 *   =XX..               bytes as they are, in hexadecimal
 */
#ifndef SONICIO_TESTS_WS_SCRIPT_H
#define SONICIO_TESTS_WS_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Write the bytes of the script to out; masked, with a different key for each
 * frame, or not.  Returns how many.  Aborts when cap is too small. */
size_t ws_script(const char *script, bool masked, uint8_t *out, size_t cap);

/* One frame, header and payload; key NULL: not masked. */
size_t ws_script_frame(uint8_t *out, uint8_t head, const uint8_t *payload,
                       size_t n, const uint32_t *key);

#endif
