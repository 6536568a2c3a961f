# tool.sh - what the tests of the sonicio program share; to be sourced
#
# Sets tmp, which goes when the test ends, and tool.
# shellcheck shell=sh disable=SC2034
set -u
tool=${top_builddir:-.}/tools/sonicio
if ! test -x "$tool"; then
    echo "skipped: the program sonicio was not built"
    exit 77
fi
tmp=$(mktemp -d) || exit 1
servers=

clean_up()
{
    # shellcheck disable=SC2086 # a list of words
    test -z "$servers" || kill -KILL $servers 2>/dev/null
    rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

bad=0
seen=0

fail()
{
    echo "FAIL: $1"
    bad=$((bad + 1))
}

# expect NAME WANTED GOT
expect()
{
    seen=$((seen + 1))
    test "$2" = "$3" && return
    fail "$1: '$3' instead of '$2'"
}

# expect_text NAME FILE PATTERN: a line of FILE matches (grep -E)
expect_text()
{
    seen=$((seen + 1))
    grep -Eq -- "$3" "$2" && return
    fail "$1: no line like '$3' in:"
    sed 's/^/    /' "$2"
}

# start_echo OPTION...: sets pid, address and line; what the server writes
# afterwards is for stop_echo.
start_echo()
{
    rm -f "$tmp/fifo"
    mkfifo "$tmp/fifo" || exit 1
    "$tool" echo "$@" >"$tmp/fifo" &
    pid=$!
    servers="$servers $pid"
    exec 3<"$tmp/fifo"
    line=
    read -r line <&3
    address=${line#listening on }
    address=${address% (*}
}

# stop_echo SIGNAL...: sets status; the rest of the output is in $tmp/counts
stop_echo()
{
    for signal in "$@"; do
        kill -s "$signal" "$pid"
    done
    status=0
    wait "$pid" || status=$?
    cat <&3 >"$tmp/counts"
    exec 3<&-
    servers=$(echo "$servers" | sed "s/ $pid\$//")
}

# json NAME FILE EXPRESSION: FILE is one JSON value, and with it as `j` the
# Python expression is true.
json()
{
    if ! command -v python3 >/dev/null; then
        echo "no python3: $1 was not looked at"
        return
    fi
    seen=$((seen + 1))
    python3 -c '
import json, sys
j = json.load(open(sys.argv[1]))
sys.exit(not eval("(" + sys.argv[2] + ")"))' "$2" "$3" && return
    fail "$1: not ($3) of $(cat "$2")"
}

finish()
{
    echo "$seen checks, $bad failed"
    test $bad = 0 && test $seen -gt 0
}
