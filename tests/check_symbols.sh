#!/bin/sh
# The shared library exports exactly the functions that the public headers
# declare: nothing of sonic__, nothing of others, and nothing is missing.
set -u
srcdir=${top_srcdir:-.}
lib=${top_builddir:-.}/.libs/libsonicio.so
if ! test -e "$lib"; then
    echo "skipped: no shared library was built"
    exit 77
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# Exported, without version nodes.
${NM:-nm} -D --defined-only "$lib" | awk '$2 != "A" {print $3}' |
    sed 's/@.*//' | sort >"$tmp/exported"

# Declared: the declarations at file level that come from our own headers.
for path in "$srcdir"/include/sonicio/*.h; do
    test "${path##*/}" = fsm_build.h && continue
    echo "#include <sonicio/${path##*/}>"
done >"$tmp/all.c"
# shellcheck disable=SC2086 # CC may have arguments
${CC:-cc} -std=c11 -D_GNU_SOURCE -I"$srcdir/include" -E "$tmp/all.c" \
    >"$tmp/all.i" || exit 1
awk '
/^# [0-9]/ { ours = $3 ~ /\/sonicio\/[a-z0-9_]*\.h"$/; next }
ours {
    n = length($0)
    for (i = 1; i <= n; i++) {
        c = substr($0, i, 1)
        if (c == "{") depth++
        if (depth == 0 && c != ";") decl = decl c
        if (c == "}" && --depth == 0 && decl ~ /(^|[ ])static /) decl = ""
        if (c == ";" && depth == 0) { judge(decl); decl = "" }
    }
    decl = decl " "
}
function judge(d,    api, name)
{
    sub(/^[ \t]+/, "", d)
    if (d ~ /^(typedef|static|_Static_assert)[ (]/) return
    api = d ~ /visibility *\( *"default" *\)/
    gsub(/__attribute__ *\(\([^;]*\)\)\)? /, " ", d)
    if (match(d, /sonic_[a-z0-9_]+ *\(/)) {
        name = substr(d, RSTART, RLENGTH)
        gsub(/[ (]/, "", name)
        print name, api ? "api" : "bare"
    } else if (api)
        print "unreadable:" d, "bare"
}' "$tmp/all.i" | sort -u >"$tmp/found"
awk '$2 == "api" {print $1}' "$tmp/found" >"$tmp/declared"

bad=0
list()
{
    test -s "$tmp/list" || return 0
    echo "$1:"
    sed 's/^/    /' "$tmp/list"
    bad=1
}

grep -v '^sonic_[a-z]' "$tmp/exported" >"$tmp/list"
list "exported, but not sonic_ and a letter"
grep ' bare$' "$tmp/found" >"$tmp/list"
list "declared without SONIC_API"
comm -13 "$tmp/exported" "$tmp/declared" >"$tmp/list"
list "declared, but not exported"
comm -23 "$tmp/exported" "$tmp/declared" >"$tmp/list"
list "exported, but in no public header"

${NM:-nm} -D --undefined-only "$lib" | awk '$NF ~ /^sonic_/ {print $NF}' \
    >"$tmp/list"
list "used, but nowhere defined"

echo "$(wc -l <"$tmp/declared") declared, $(wc -l <"$tmp/exported") exported"
test -s "$tmp/exported" || exit 1
exit $bad
