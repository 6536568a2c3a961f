#include <sonicio/error.h>

#include <string.h>

enum { ERRNO_MAX = 4095 };

const char *
sonic_version(void)
{
    return SONIC_VERSION;
}

const char *
sonic_strerror(int err)
{
    if (err >= 0)
        return "success";
    switch (err) {
#define X(name, value, close, text)                                            \
    case value:                                                                \
        return text;
        SONIC_ERROR_LIST(X)
#undef X
    }
    return err >= -ERRNO_MAX ? strerror(-err) : "unknown error";
}

const char *
sonic_errname(int err)
{
    const char *name;

    switch (err) {
    case SONIC_OK:
        return "SONIC_OK";
#define X(name, value, close, text)                                            \
    case value:                                                                \
        return "SONIC_" #name;
        SONIC_ERROR_LIST(X)
#undef X
    }
    name = err < 0 && err >= -ERRNO_MAX ? strerrorname_np(-err) : NULL;
    return name != NULL ? name : "E?";
}
