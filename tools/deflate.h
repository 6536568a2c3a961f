/* deflate.h - the option --deflate, which several commands have */
#ifndef SONICIO_TOOLS_DEFLATE_H
#define SONICIO_TOOLS_DEFLATE_H

#include <sonicio/websocket.h>

#include "args.h"

#define DEFLATE_ARG "[=SETTINGS]"

/* Its settings, for the paragraphs of a command's help. */
#define DEFLATE_ABOUT                                                          \
    "SETTINGS of --deflate (permessage-deflate, RFC 7692) are some of "        \
    "these,\n"                                                                 \
    "with commas between them:\n"                                              \
    "  shared       one compressor for all connections, and none of the "      \
    "memory\n"                                                                 \
    "               that the others take (the default)\n"                      \
    "  takeover     a compressor each, for what is sent, which knows what "    \
    "was\n"                                                                    \
    "               sent before; and the same for what comes\n"                \
    "  level=N      1, fast, to 9, small (1)\n"                                \
    "  memory=N     1 to 9 (8)\n"                                              \
    "  window=N     8 to 15 bits, both ways (15)\n"                            \
    "  threshold=N  send shorter messages as they are (128)\n"

/* Neither offered nor accepted: what a command begins with. */
void deflate_off(sonic_ws_deflate_options *o);

/* The option was given, with a->value; or complain. */
void deflate_on(struct args *a, sonic_ws_deflate_options *o);

#endif
