#!/bin/sh
# The version stands in configure.ac and in api.h: they must agree, in words
# and as a number, and with the library's own answer.
set -u
srcdir=${top_srcdir:-.}
api=$srcdir/include/sonicio/api.h

conf=$(sed -n 's/^m4_define(\[sonicio_version\], \[\(.*\)\])$/\1/p' \
    "$srcdir/configure.ac")
text=$(sed -n 's/^#define SONIC_VERSION "\(.*\)"$/\1/p' "$api")
number=$(sed -n 's/^#define SONIC_VERSION_NUMBER \(0x[0-9a-f]*\).*/\1/p' "$api")
want=$(echo "$conf" | awk -F. '{printf "0x%02x%02x%02x", $1, $2, $3}')

echo "configure.ac '$conf', api.h '$text' and '$number' (want $want)"
test -n "$conf" && test "$conf" = "$text" && test "$number" = "$want"
