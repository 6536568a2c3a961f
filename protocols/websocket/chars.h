/* chars.h - what a byte is to HTTP.  RFC 9110 5.5, 5.6.2 */
#ifndef SONICIO_WEBSOCKET_CHARS_H
#define SONICIO_WEBSOCKET_CHARS_H

#include <stdint.h>

/* In the order of the events of head.def. */
enum sonic__http_class {
    SONIC__HTTP_TCHAR, /* letters, digits and !#$%&'*+-.^_`|~ */
    SONIC__HTTP_COLON,
    SONIC__HTTP_SP,
    SONIC__HTTP_HT,
    SONIC__HTTP_CR,
    SONIC__HTTP_LF,
    SONIC__HTTP_TEXT, /* the other visible ones */
    SONIC__HTTP_OBS,  /* 0x80 to 0xff */
    SONIC__HTTP_CTL   /* the other controls, NUL and DEL too */
};

extern const uint8_t sonic__http_class_of[256];

static inline enum sonic__http_class
sonic__http_class(char c)
{
    return (enum sonic__http_class)sonic__http_class_of[(uint8_t)c];
}

/* An ASCII letter in lower case, any other byte as it is; no locale. */
static inline char
sonic__http_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

#endif
