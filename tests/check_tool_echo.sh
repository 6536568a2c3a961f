#!/bin/sh
# sonicio echo and sonicio connect, one against the other.
# shellcheck disable=SC1091,SC2154 # tool.sh has its own look
. "${top_srcdir:-.}/tests/support/tool.sh"

# talk OPTION... : input is $tmp/in; sets status, output in $tmp/out and $tmp/err
talk()
{
    status=0
    "$tool" connect "$@" <"$tmp/in" >"$tmp/out" 2>"$tmp/err" || status=$?
}

# same NAME: what came is what was sent
same()
{
    expect "$1: status" 0 $status
    seen=$((seen + 1))
    cmp "$tmp/in" "$tmp/out" || fail "$1: not what was sent"
}

# ---- one server, many conversations ----------------------------------------
start_echo --listen 127.0.0.1:0
expect_port=${address#127.0.0.1:}
echo "$line" >"$tmp/line"
expect_text "the first line" "$tmp/line" \
    '^listening on 127\.0\.0\.1:[1-9][0-9]* \(ws\)$'

printf 'hello\n\nf\303\274r Elise\nlast\n' >"$tmp/in"
talk --count 4 "ws://$address/"
same "four lines"
expect_text "four lines" "$tmp/err" '^closed by us: 1000 normal closure$'
talk --quiet --wait 0 "ws://127.0.0.1:$expect_port/some/path?query"
same "at once, and quiet"
expect "at once, and quiet: errors" "" "$(cat "$tmp/err")"
printf 'one\ntwo\nthree' >"$tmp/in"
talk --quiet --count 2 "ws://$address/"
expect "two of three: status" 0 $status
expect "two of three" "one two" "$(tr '\n' ' ' <"$tmp/out" | sed 's/ $//')"
talk --quiet --count 3 "ws://$address/"
expect "no newline at the end" "one two three" \
    "$(tr '\n' ' ' <"$tmp/out" | sed 's/ $//')"
talk --quiet --count 4 --wait 0 "ws://$address/"
expect "too few messages: status" 1 $status
expect_text "too few messages" "$tmp/err" '3 of 4 messages'

printf 'a\001\377\nbc' >"$tmp/in"
talk --quiet --binary --count 2 "ws://$address/"
expect "binary: status" 0 $status
expect "binary" "$(printf 'a\001\377bc' | od -c)" "$(od -c <"$tmp/out")"
talk --quiet --count 1 --no-utf8-check "ws://$address/"
expect "text that is not UTF-8: status" 1 $status
expect_text "text that is not UTF-8" "$tmp/err" \
    '^closed by the peer: 1007 invalid payload'
for line in '\377' '\300\200' '\355\240\200' '\364\220\200\200' '\303' \
    '\340\237\277' '\302a' '\200'; do
    # shellcheck disable=SC2059 # an escape each
    printf "one\n\342\202\254\360\237\230\200\n$line\nthree\n" >"$tmp/in"
    talk --quiet --count 4 "ws://$address/"
    expect "line $line: status" 1 $status
    expect_text "line $line" "$tmp/err" \
        '^sonicio connect: line 3 of the input is not UTF-8.* --binary'
    expect "before line $line" "$(sed 2q "$tmp/in")" "$(cat "$tmp/out")"
done
printf 'last\n\377' >"$tmp/in"
talk --quiet --count 2 "ws://$address/"
expect "a last line that is not UTF-8: status" 1 $status
expect_text "a last line that is not UTF-8" "$tmp/err" '^sonicio connect: line 2'

# Standard output that cannot be written: the end, and not a moment later.
for n in 1 2 3 4; do echo $n; done >"$tmp/in"
if test -c /dev/full; then
    status=0
    "$tool" connect --quiet --count 5 "ws://$address/" <"$tmp/in" >/dev/full \
        2>"$tmp/err" || status=$?
    expect "a full disk: status" 1 $status
    expect "a full disk" \
        "sonicio connect: cannot write to standard output: No space left on device" \
        "$(cat "$tmp/err")"
fi
status=0
"$tool" connect --quiet --count 5 "ws://$address/" <"$tmp/in" >&- \
    2>"$tmp/err" || status=$?
expect "no output: status" 1 $status
expect_text "no output" "$tmp/err" 'cannot write to standard output: Bad file'

# Larger than a receive buffer, and than a receive buffer's longest line.
awk 'BEGIN { for (i = 0; i < 60000; i++) printf "%d,", i; print ""
             for (i = 0; i < 20000; i++) print i, "lines" }' >"$tmp/in"
talk --quiet --count 20001 "ws://$address/"
same "a long line and many short ones"

status=0
"$tool" connect --wait 0 "ws://$address/" <"$tmp" >"$tmp/out" 2>"$tmp/err" ||
    status=$?
expect "a directory for input: status" 1 $status
expect_text "a directory for input" "$tmp/err" 'cannot read standard input'
status=0
"$tool" connect --wait 0 "ws://$address/" <&- >"$tmp/out" 2>"$tmp/err" ||
    status=$?
expect "no input: status" 0 $status

: >"$tmp/in"
talk --ping 1 --wait 1.5 "ws://$address/"
expect "pings: status" 0 $status
expect_text "pings" "$tmp/err" '^pong after [0-9.]+ [num]?s$'

# ---- an orderly end --------------------------------------------------------
mkfifo "$tmp/keyboard" "$tmp/screen"
"$tool" connect "ws://$address/" <"$tmp/keyboard" 2>"$tmp/screen" &
client=$!
servers="$servers $client"
exec 4>"$tmp/keyboard" 5<"$tmp/screen"
read -r said <&5
expect "connected" "connected to ws://$address/" "$said"
stop_echo TERM
expect "SIGTERM: status" 0 $status
expect_text "SIGTERM" "$tmp/counts" '^drained: 1 closed cleanly, 0 reset$'
expect_text "counts" "$tmp/counts" '^[1-9][0-9]* connections, 20,0[0-9]* messages, '
read -r said <&5
expect "the client hears of it" "closed by the peer: 1001 going away" "$said"
status=0
wait $client || status=$?
expect "the client's status" 0 $status
exec 4>&- 5<&-

printf 'hello\n' >"$tmp/in"
talk "ws://$address/"
expect "nobody listens: status" 1 $status
expect_text "nobody listens" "$tmp/err" \
    "^sonicio connect: cannot connect to ws://$address/: Connection refused\$"

talk --proxy "http://me:secret@$address" "ws://example/"
expect "no proxy: status" 1 $status
expect_text "no proxy" "$tmp/err" \
    "^sonicio connect: cannot connect to ws://example/ through the proxy $address"

# ---- a second signal -------------------------------------------------------
start_echo --listen 127.0.0.1:0
"$tool" connect "ws://$address/" <"$tmp/keyboard" 2>"$tmp/screen" &
client=$!
servers="$servers $client"
exec 4>"$tmp/keyboard" 5<"$tmp/screen"
read -r said <&5
kill -STOP $client # it does not answer the close
stop_echo TERM INT
seen=$((seen + 1))
test $status -gt 128 || fail "a second signal: status $status"
kill -KILL $client
wait $client 2>/dev/null
exec 4>&- 5<&-

# ---- elsewhere -------------------------------------------------------------
printf 'one\ntwo\n' >"$tmp/in"
for mode in --spin --warm "--backend poll" "--threads 3"; do
    # shellcheck disable=SC2086 # an option and its argument
    start_echo --listen 127.0.0.1:0 $mode
    for n in 1 2 3 4; do
        talk --quiet --count 2 "ws://$address/"
        same "echo $mode, time $n"
    done
    stop_echo INT
    expect "echo $mode: status" 0 $status
    expect_text "echo $mode" "$tmp/counts" '^4 connections, 8 messages, 24 bytes'
done

start_echo --listen "unix:$tmp/socket" --quiet
expect "unix" "unix:$tmp/socket" "$address"
talk --quiet --count 2 "ws+unix:$tmp/socket"
same "unix"
stop_echo TERM
expect "unix: status" 0 $status
expect "quiet" "" "$(cat "$tmp/counts")"
seen=$((seen + 1))
test ! -e "$tmp/socket" || fail "the socket was left behind"

start_echo --listen 127.0.0.1:0 --max-message 8
printf '12345678\n123456789\n' >"$tmp/in"
talk --count 2 "ws://$address/"
expect "too long: status" 1 $status
expect "too long" 12345678 "$(cat "$tmp/out")"
expect_text "too long" "$tmp/err" '^closed by the peer: 1009 message too big'
stop_echo TERM

# ---- compressed ------------------------------------------------------------
if test "${DEFLATE-}" = yes; then
    awk 'BEGIN { for (i = 0; i < 2000; i++) print i, "lines of text", i * i }' \
        >"$tmp/in"
    for setting in "" =takeover =shared,level=9 =window=9,memory=1,threshold=1
    do
        start_echo --listen 127.0.0.1:0 "--deflate$setting"
        talk --count 2000 "--deflate$setting" "ws://$address/"
        same "compressed$setting"
        expect_text "compressed$setting" "$tmp/err" ', permessage-deflate'
        talk --quiet --count 2000 "ws://$address/"
        same "not compressed$setting"
        stop_echo TERM
        expect "compressed$setting: end" 0 $status
    done
    for wrong in level=0 level=10 window=7 window=16 memory=x threshold= \
        "" fast "shared,,"; do
        status=0
        "$tool" echo "--deflate=$wrong" >"$tmp/out" 2>"$tmp/err" || status=$?
        expect "--deflate=$wrong: status" 2 $status
        expect_text "--deflate=$wrong" "$tmp/err" 'is no setting'
    done
fi

finish
