# conformance.sh - what the two tests that run the suite share; to be sourced
#
# CONFORMANCE=full in the environment plays everything, which takes minutes;
# CONFORMANCE=brief plays to the first subject of each test only.
# shellcheck shell=sh disable=SC1091,SC2034,SC2154
. "${top_srcdir:-.}/tests/support/tool.sh"

runner=$top_builddir/tests/conformance/runner
subject=$top_builddir/tests/support/subject
if ! test -x "$runner"; then
    echo "skipped: the runner was not built: it needs libssl and zlib"
    exit 77
fi
cases=$(echo "$top_srcdir"/tests/conformance/cases/*.cases)
squeezed=$(echo "$top_srcdir"/tests/conformance/cases/1[23]-*.cases)
plain=$(echo "$cases" | tr ' ' '\n' | grep -v '/1[23]-')
# What differs over TLS; all of it when everything is asked for.
over_tls=$(echo "$cases" | tr ' ' '\n' | grep -v handshake)
test "${CONFORMANCE-}" = full ||
    over_tls=$(echo "$over_tls" | grep -Ev '/(03|04|06|13)-')
slow=1
test -z "${SONIC_TEST_SLOW-}" || slow=20
full=
test "${CONFORMANCE-}" != full || full=--full

"$runner" cert "$tmp/cert" || exit 1
has_tls=no
"$subject" features | grep -q tls && has_tls=yes
deflate=
"$subject" features | grep -q deflate && deflate=--deflate
echo "TLS: $has_tls; permessage-deflate: ${deflate:-no}"

# play NAME RUNNER-ARGUMENT...
play()
{
    echo "---- $1"
    if test "${CONFORMANCE-}" = brief && test "$seen" -gt 0; then
        echo "left out: CONFORMANCE=brief"
        return
    fi
    shift
    seen=$((seen + 1))
    # shellcheck disable=SC2086 # an option or nothing
    "$runner" $full $deflate --slow $slow "$@" || bad=$((bad + 1))
}
