#!/bin/sh
# Each public header compiles alone, twice in a row, as C11 and as C++17, with
# warnings as errors; <sonicio/sonicio.h> includes them all.
set -u
srcdir=${top_srcdir:-.}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

bad=0
seen=0
fail()
{
    echo "$1"
    bad=$((bad + 1))
}

warn="-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"

# Strict, where the C library shows nothing that is not asked for; with POSIX;
# and as compilers are when nothing is said.
compile_c()
{
    printf '#include <sonicio/%s>\n#include <sonicio/%s>\n' "$1" "$1" \
        >"$tmp/h.c"
    for std in -std=c11 "-std=c11 -D_POSIX_C_SOURCE=200809L" -std=gnu11; do
        # shellcheck disable=SC2086 # CC, std and warn are lists of words
        ${CC:-cc} $std $warn -I"$srcdir/include" -fsyntax-only "$tmp/h.c" ||
            return 1
    done
}

compile_cxx()
{
    cp "$tmp/h.c" "$tmp/h.cc"
    # shellcheck disable=SC2086
    $CXX -std=c++17 $warn -I"$srcdir/include" -fsyntax-only "$tmp/h.cc"
}

for path in "$srcdir"/include/sonicio/*.h; do
    h=${path##*/}
    test "$h" = fsm_build.h && continue # a recipe: it needs a table
    seen=$((seen + 1))
    compile_c "$h" || fail "not C11 on its own: $h"
    if test -n "${CXX-}"; then
        compile_cxx || fail "not C++17 on its own: $h"
    fi
    if test "$h" != sonicio.h && test -f "$srcdir/include/sonicio/sonicio.h" &&
        ! grep -q "^#include <sonicio/$h>" "$srcdir/include/sonicio/sonicio.h"
    then
        fail "not in <sonicio/sonicio.h>: $h"
    fi
done

echo "$seen headers, $bad failures"
test $bad = 0 && test $seen -gt 0 || exit 1
if test -z "${CXX-}"; then
    echo "skipped: no C++ compiler, so only C11 was tested"
    exit 77
fi
