#!/bin/sh
# run.sh - every bench, one table.  `make bench` runs it in the build directory.
#
# usage: tests/bench/run.sh [--quick]
#   --quick  fewer cases, shorter rounds: less than two minutes
#
# Each line: what was measured, the floor (an echo server of recv() and send()
# alone) in the same run, their ratio, what must hold, and whether it does.
# Fails when a bench fails, never because something is slow.
set -u
cd "${top_builddir:-.}/tests/bench" || exit 1

quick=
case ${1-} in
'') ;;
--quick) quick=--quick ;;
*) echo "usage: $0 [--quick]" >&2 && exit 2 ;;
esac

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

# title TEXT UNIT: as kit_title of kit.c
title()
{
    printf '\n%-40s %10s %10s %7s %9s\n' "$1" "$2" floor ratio must
}

# row WHAT MEASURED FLOOR MUST: as kit_row; FLOOR and MUST may be "-"
row()
{
    awk -v what="$1" -v measured="$2" -v floor="$3" -v must="$4" '
    function number(x)
    {
        if (x == "-")
            return x
        if (x >= 1e6)
            return sprintf("%.2f M", x / 1e6)
        if (x >= 1e5)
            return sprintf("%.0f k", x / 1e3)
        return sprintf(x >= 100 ? "%.0f" : "%.2f", x)
    }
    BEGIN {
        ratio = floor == "-" || floor <= 0 ? "-" : \
            sprintf("%.3f", measured / floor)
        printf "  %-38s %10s %10s %7s %9s  %s\n", what, number(measured),
            number(floor), ratio, must == "-" ? "-" : "<= " must,
            must == "-" ? "" : measured <= must + 0.005 ? "ok" : "short"
    }'
}

# count PROGRAM ARG...: run it under callgrind; the last line that it printed,
# instructions in user space and system calls.  "rep movsb" would count as an instruction
# for each byte, so memcpy(3) is told not to use it.
count()
{
    GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=1000000000
    GLIBC_TUNABLES=$GLIBC_TUNABLES:glibc.cpu.x86_rep_stosb_threshold=1000000000
    export GLIBC_TUNABLES
    valgrind --tool=callgrind --collect-systime=yes \
        --callgrind-out-file="$tmp/out" "$@" >"$tmp/stdout" 2>"$tmp/stderr"
    status=$?
    unset GLIBC_TUNABLES
    if test $status != 0; then
        cat "$tmp/stderr" >&2
        return 1
    fi
    echo "$(tail -n 1 "$tmp/stdout") $(sed -n 's/^totals: //p' "$tmp/out")"
}

# difference A B: two lines of count, of a short and a long run; instructions
# and system calls for each message that one did more
difference()
{
    printf '%s\n%s\n' "$1" "$2" | awk '
    NR == 1 { messages = $1; instructions = $2; calls = $3; next }
    {
        n = $1 - messages
        if (n <= 0)
            exit 1
        printf "%.1f %.3f\n", ($2 - instructions) / n, ($3 - calls) / n
    }'
}

# parse NAME CASE MUST: a case of bench_ws_parse
parse()
{
    short=$(count ./bench_ws_parse "$2" 1600) || return 1
    long=$(count ./bench_ws_parse "$2" 8000) || return 1
    # shellcheck disable=SC2046 # two words
    set -- "$@" $(difference "1600 $short" "8000 $long")
    test $# = 5 || return 1
    row "$1" "$4" - "$3"
}

# server KIND DEPTH SIZE TYPE MESSAGES: of the echo server, for each message
server()
{
    short=$(count ./bench_serve "$1" "$2" "$3" "$4" "$5") || return 1
    long=$(count ./bench_serve "$1" "$2" "$3" "$4" $(($5 * 3))) || return 1
    difference "$short" "$long"
}

# serve NAME DEPTH SIZE TYPE MESSAGES INSTRUCTIONS CALLS: the last two are what
# must hold
serve()
{
    floor=$(server raw "$2" "$3" "$4" "$5") || return 1
    ours=$(server ws "$2" "$3" "$4" "$5") || return 1
    row "$1" "${ours% *}" "${floor% *}" "$6"
    row "$1, system calls" "${ours#* }" "${floor#* }" "$7"
}

# deflate SETTING: of the echo of compressed messages less that of plain ones,
# against zlib alone
deflate()
{
    set -- "$1" zlib plain deflate
    for mode in "$2" "$3" "$4"; do
        short=$(count ./bench_deflate "$1" "$mode" 640) || return 1
        long=$(count ./bench_deflate "$1" "$mode" 1920) || return 1
        n=$(difference "$short" "$long") || return 1
        set -- "$@" "${n% *}"
    done
    beyond=$(echo "$7 $6" | awk '{ print $1 - $2 }')
    row "$1" "$beyond" "$5" "$(echo "$5" | awk '{ printf "%.0f", 1.1 * $1 }')"
}

# broadcast WAY SIZE: instructions of sending one message to one of 1,000
broadcast()
{
    short=$(count ./bench_broadcast "$1" plain "$2" 16) || return 1
    long=$(count ./bench_broadcast "$1" plain "$2" 48) || return 1
    n=$(difference "$short" "$long") || return 1
    echo "${n% *}"
}

# fan_out NAME SIZE: to each by sonic_ws_send, and prepared
fan_out()
{
    floor=$(broadcast floor "$2") && each=$(broadcast send "$2") &&
        all=$(broadcast prepared "$2") || return 1
    row "$1, sonic_ws_send" "$each" "$floor" -
    row "$1, prepared" "$all" "$floor" "$each"
}

instructions()
{
    title "WebSocket parse and deliver" instr/msg
    parse "32 B masked" 0 90 || return 1
    parse "32 B unmasked" 2 65 || return 1
    parse "1 KiB masked, text" 5 280 || return 1
    parse "64 KiB masked" 7 12500 || return 1

    title "Echo server, 1 connection" instr/msg
    serve "32 B, depth 1" 1 32 binary 2000 400 3 || return 1
    serve "32 B, depth 16" 16 32 binary 16000 160 0.19 || return 1
    if test -z "$quick"; then
        serve "1 KiB, depth 16, binary" 16 1024 binary 16000 320 0.19 &&
            serve "1 KiB, depth 16, text" 16 1024 text 16000 420 0.19 &&
            serve "16 KiB, depth 4" 4 16384 binary 1000 3000 - &&
            serve "1 MiB, depth 1" 1 1048576 binary 50 200000 - || return 1
    fi
    title "One message to 1,000 connections" instr/msg
    fan_out "1 KiB" 1024 || return 1

    test -x ./bench_deflate || return 0
    title "permessage-deflate, 1 KiB of JSON" instr/msg
    deflate "shared, level 1" && deflate "takeover, level 1"
}

echo "Load average $(cut -d ' ' -f 1-3 /proc/loadavg 2>/dev/null)," \
    "$(getconf _NPROCESSORS_ONLN) cores"
./bench_echo $quick || exit 1
./bench_latency $quick || exit 1
./bench_idle $quick || exit 1
./bench_parts $quick || exit 1
if test -x ./bench_tls; then # left out with --disable-tls
    ./bench_tls $quick || exit 1
fi
./bench_broadcast $quick || exit 1
./bench_udp $quick || exit 1
./bench_packets $quick || exit 1
if test -x ./bench_deflate; then
    ./bench_deflate $quick || exit 1
    ./bench_idle_deflate $quick || exit 1
fi
if command -v valgrind >/dev/null; then
    instructions || exit 1
else
    printf '\nNo valgrind: instructions and system calls are not counted.\n'
fi
