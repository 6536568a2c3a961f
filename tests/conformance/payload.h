/* What a step says is to be sent: words that each stand for bytes.
 *
 *   "text\x00\r\n"   these; *N after it: so many times
 *   hex 00ff         these
 *   code 1000        a close code, two bytes
 *   fill N           N bytes: letters, in an order
 *   zeros N          N bytes 0
 *   random N         N bytes that do not compress
 *   json N words N   N bytes of text that does
 *   utf8 N           N bytes of text of all lengths of characters
 *   every            every character there is */
#ifndef CONFORMANCE_PAYLOAD_H
#define CONFORMANCE_PAYLOAD_H

#include "bytes.h"

/* False when the text says nothing that is known. */
bool payload_read(const char *text, struct bytes *out);

#endif
