/* <sonicio/api.h> - what every public header needs
 *
 * Conventions of the whole library, said once:
 *   - A function that can fail returns 0 or a count >= 0, or a negative error
 *     (see <sonicio/error.h>).
 *   - A callback has the object first and the caller's pointer, `ud`, last.
 *     It may start operations, close or free any object, its own included.
 *   - A call that starts an operation returns void; its callback runs exactly
 *     once, possibly before the call returns (nested at most
 *     SONIC_MAX_DISPATCH deep), and also when the arguments are bad, the
 *     object is closed, or the sonic_io is freed.
 *   - Most have a blocking twin, which runs the io until the operation is
 *     complete.  Where there is none, the call without a callback and
 *     sonic_io_run_until make one: done is what the callback sets.
 *   - Time is int64_t nanoseconds of CLOCK_MONOTONIC.
 *   - An options struct starts with `size`, set by its _INIT macro; a field
 *     left at 0 means "the default".  A program compiled against an older
 *     version has a smaller one: what it lacks is 0.  One that is larger than
 *     this library knows is taken when the rest of it is 0.  SONIC_EOPTION:
 *     the rest is not, or size was not set or is not that of a struct.
 *     Handlers start with `size` too, and are refused, with SONIC_EOPTION,
 *     when they are smaller.
 *     The _INIT macros are designated initialisers: C, and C++20.  In older
 *     C++: `sonic_x_options o = {}; o.size = sizeof o;`.
 *   - Objects belong to one sonic_io and are used on its thread only;
 *     sonic_io_post and sonic_io_stop are the exceptions.
 */
#ifndef SONICIO_API_H
#define SONICIO_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#if defined(__GNUC__)
#define SONIC_API __attribute__((visibility("default")))
#define SONIC_MUST_CHECK __attribute__((warn_unused_result))
#define SONIC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define SONIC_API
#define SONIC_MUST_CHECK
#define SONIC_PRINTF(fmt, args)
#endif

/* The version of these headers, and (sonic_version) of the library running. */
#define SONIC_VERSION "0.1.0"
#define SONIC_VERSION_NUMBER 0x000100 /* 0xMMmmpp */

/* Completions that may run on one stack, one inside the other. */
#define SONIC_MAX_DISPATCH 32

/* A setting that is a yes or a no, with room for "the default". */
enum sonic_switch { SONIC_DEFAULT = 0, SONIC_ON = 1, SONIC_OFF = -1 };

#ifdef __cplusplus
extern "C" {
#endif

/* sonic_version - the version of the library, such as "0.1.0" */
SONIC_API const char *sonic_version(void);

#ifdef __cplusplus
}
#endif
#endif
