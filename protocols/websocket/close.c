#include "websocket/close.h"

#include <string.h>

#include <sonicio/error.h>

#include "websocket/utf8.h"

enum { NO_STATUS = 1005 /* 7.1.5: the Close frame had no code */ };

bool
sonic__ws_close_code_ok(uint16_t code)
{
    if (code >= 3000)
        return code <= 4999;
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

static int
check(uint16_t code, const uint8_t *reason, size_t n)
{
    if (!sonic__ws_close_code_ok(code) || n > SONIC__WS_REASON_MAX)
        return SONIC_EWS_CLOSE;
    if (sonic__utf8_feed(SONIC__UTF8_OK, reason, n) != SONIC__UTF8_OK)
        return SONIC_EWS_UTF8;
    return 0;
}

int
sonic__ws_close_parse(const uint8_t *data, size_t n, uint16_t *code,
                      const uint8_t **reason, size_t *reason_len)
{
    *code = NO_STATUS;
    *reason = NULL;
    *reason_len = 0;
    if (n == 0)
        return 0;
    if (n == 1)
        return SONIC_EWS_CLOSE;
    *code = (uint16_t)(data[0] << 8 | data[1]);
    if (n > 2) {
        *reason = data + 2;
        *reason_len = n - 2;
    }
    return check(*code, *reason, *reason_len);
}

int
sonic__ws_close_encode(uint8_t *dst, uint16_t code, const uint8_t *reason,
                       size_t n)
{
    int err = check(code, reason, n);

    if (err < 0)
        return err;
    dst[0] = (uint8_t)(code >> 8);
    dst[1] = (uint8_t)code;
    if (n > 0)
        memcpy(dst + 2, reason, n);
    return (int)(2 + n);
}
