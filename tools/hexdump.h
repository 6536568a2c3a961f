/* hexdump.h - packets as text that Wireshark's text2pcap(1) reads */
#ifndef SONICIO_TOOLS_HEXDUMP_H
#define SONICIO_TOOLS_HEXDUMP_H

#include <stddef.h>
#include <stdio.h>

/* One packet; letter is 'I' (received) or 'O' (sent). */
void hexdump(FILE *out, char letter, const void *data, size_t len);

#endif
