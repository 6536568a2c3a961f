#!/bin/sh
# The sonicio program: help, mistakes in its arguments, tables, its manual.
# shellcheck disable=SC1091,SC2154 # tool.sh has its own look
. "${top_srcdir:-.}/tests/support/tool.sh"

# wrong WORD... : these arguments are refused with status 2, a line that says
# why, and a line that says where there is help; nothing on standard output.
wrong()
{
    status=0
    "$tool" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
    expect "sonicio $*: status" 2 $status
    expect "sonicio $*: lines" 2 "$(wc -l <"$tmp/err" | tr -d ' ')"
    expect_text "sonicio $*" "$tmp/err" '^sonicio[a-z ]*: .'
    expect_text "sonicio $*" "$tmp/err" '^Try: sonicio .*--help$'
    expect "sonicio $*: output" "" "$(cat "$tmp/out")"
}

# ---- the program as a whole ------------------------------------------------
version=$(sed -n 's/^#define SONIC_VERSION "\(.*\)"$/\1/p' \
    "${top_srcdir:-.}/include/sonicio/api.h")
expect "--version" "sonicio $version" "$("$tool" --version)"

status=0
"$tool" >"$tmp/out" 2>"$tmp/err" || status=$?
expect "no arguments: status" 2 $status
"$tool" --help >"$tmp/out" || fail "--help"
commands=$(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' "$tmp/out")
expect_text "--help" "$tmp/out" '^Usage: sonicio COMMAND'
test -n "$commands" || fail "--help lists no commands"

wrong nonsense
wrong --nonsense
wrong help nonsense
wrong help echo demo

# ---- each command ----------------------------------------------------------
for c in $commands; do
    test "$c" = help && continue
    "$tool" "$c" --help >"$tmp/out" || fail "$c --help"
    "$tool" help "$c" >"$tmp/out2" || fail "help $c"
    cmp "$tmp/out" "$tmp/out2" || fail "help $c is not $c --help"
    expect_text "$c --help" "$tmp/out" "^Usage: sonicio $c"
    expect_text "$c --help" "$tmp/out" "^Examples:"
    expect_text "$c --help" "$tmp/out" "^  sonicio $c|^  echo .*sonicio $c"
    seen=$((seen + 1))
    if awk 'length($0) > 80 { exit 1 }' "$tmp/out"; then :; else
        fail "$c --help is over 80 columns wide"
    fi
    wrong "$c" --nonsense
    wrong "$c" -Z
    # Every option of the help is in the manual, too.
    sed -n 's/^  [ -].[, ] --\([a-z0-9-]*\).*/\1/p' "$tmp/out" >"$tmp/options"
    while read -r option; do
        test "$option" = help && continue
        seen=$((seen + 1))
        grep -q "Fl -$option" "${top_srcdir:-.}/doc/sonicio.1" ||
            fail "doc/sonicio.1 does not have $c --$option"
    done <"$tmp/options"
done

wrong echo --listen
wrong echo --quiet=yes
wrong echo --proto smoke
wrong echo --threads 0
wrong echo --threads 1x
wrong echo --max-message 99999999999999999999
wrong echo --max-message -1
wrong echo --threads 2 --listen unix:/nowhere/socket
wrong echo here
wrong connect
wrong connect ws://one/ ws://two/
wrong connect http://example/
wrong connect ws://example:port/
wrong connect --count 0 ws://example/
wrong connect --wait soon ws://example/
wrong connect --header nothing ws://example/
wrong connect --header ': nothing' ws://example/
wrong bench
wrong bench ftp://example/
wrong bench frame://
wrong bench --rate 5 --depth 5 ws://example/
wrong bench --text raw://example:1
wrong bench --size 0 raw://example:1
wrong bench --connections 0 ws://example/
wrong demo --size 31
wrong demo --clients 0
wrong demo --seconds 0
wrong demo now
wrong tables nonsense
wrong tables frame timer
wrong tables --dot

wrong echo --listen nonsense
expect_text "no port" "$tmp/err" \
    '^sonicio echo: cannot listen on nonsense: there is no port: '
wrong echo --listen 127.0.0.1:65536
expect_text "a bad port" "$tmp/err" 'the port is not a number from 0 to 65535$'
wrong echo --listen ::1
wrong echo --listen '[::1:80'
wrong bench raw://127.0.0.1:99999
wrong bench frame://127.0.0.1
wrong bench frame://::1
wrong help echo --help
wrong --version twice
"$tool" help --help >/dev/null || fail "help --help"
wrong echo --tls
expect_text "ambiguous" "$tmp/err" \
    '^sonicio echo: --tls is ambiguous: --tls-cert, --tls-key$'
wrong echo --spin --warm
wrong echo --ktls
wrong connect --cacert /nonexistent ws://example.invalid/
wrong connect --header 'connection: close' ws://example.invalid/
expect_text "a field of the handshake" "$tmp/err" "the handshake's own"
wrong connect --header 'a b: c' ws://example.invalid/
wrong connect --subprotocol 'a b' ws://example.invalid/
SONIC_BACKEND=kqueue
export SONIC_BACKEND
for c in "echo" "demo" "connect ws://127.0.0.1:1/" "bench ws://127.0.0.1:1/"; do
    # shellcheck disable=SC2086 # a command and its argument
    wrong $c
    expect_text "SONIC_BACKEND" "$tmp/err" "SONIC_BACKEND: 'kqueue' is not"
done
unset SONIC_BACKEND
for proxy in foo http:// socks5h://foo:99999; do
    wrong connect --proxy $proxy ws://example.invalid/
done

if test -c /dev/full; then
    status=0
    "$tool" help echo >/dev/full 2>"$tmp/err" || status=$?
    expect "a full disk: status" 1 $status
    expect "a full disk" \
        "sonicio: cannot write to standard output: No space left on device" \
        "$(cat "$tmp/err")"
    "$tool" tables frame >/dev/full 2>"$tmp/err" && fail "tables >/dev/full"
    expect "a table on a full disk" \
        "sonicio tables: cannot write to standard output: No space left on device" \
        "$(cat "$tmp/err")"
fi

# ---- tables ----------------------------------------------------------------
"$tool" tables >"$tmp/list" || fail tables
machines=$(sed 1d "$tmp/list" | cut -d ' ' -f 1)
for m in timer frame ws-head ws-frame ws-message ws-session; do
    "$tool" tables $m >/dev/null || fail "tables $m"
done
for m in $machines; do
    "$tool" tables "$m" >"$tmp/out" || fail "tables $m"
    # STATES, EVENTS and ROWS of the list are those of the table.
    read -r states events rows <<END
$(sed -n "s/^$m  *//p" "$tmp/list")
END
    expect_text "tables $m" "$tmp/out" \
        "^.*: $states states, $events events, $rows rows"
    "$tool" tables "$m" --dot >"$tmp/dot" || fail "tables $m --dot"
    expect_text "tables $m --dot" "$tmp/dot" '^digraph '
    if command -v dot >/dev/null; then
        dot -Tsvg -o /dev/null "$tmp/dot" || fail "dot does not take $m"
    fi
done
expect "two names of one machine" "$("$tool" tables ws-session)" \
    "$("$tool" tables websocket-session)"

# ---- the manual ------------------------------------------------------------
if command -v mandoc >/dev/null; then
    # What it knows of other pages depends on what is installed.
    mandoc -T lint "${top_srcdir:-.}/doc/sonicio.1" |
        grep -v 'referenced manual not found' >"$tmp/lint"
    expect "mandoc -T lint" "" "$(cat "$tmp/lint")"
else
    echo "no mandoc: the manual was not looked at"
fi

finish
