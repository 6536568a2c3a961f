#!/bin/sh
# sonicio bench against sonicio echo, in each protocol and both loops.
# shellcheck disable=SC1091,SC2154 # tool.sh has its own look
. "${top_srcdir:-.}/tests/support/tool.sh"

# bench URL OPTION... : sets status, output in $tmp/json and $tmp/err
bench()
{
    status=0
    "$tool" bench --warmup 0.05 --seconds 0.2 --json "$@" \
        >"$tmp/json" 2>"$tmp/err" || status=$?
}

good()
{
    expect "bench $1: status" 0 $status
    expect "bench $1: errors" "" "$(cat "$tmp/err")"
    json "bench $1" "$tmp/json" 'j["messages"] > 0 and j["seconds"] == 0.2 and
        j["unanswered"] == 0 and j["wrong"] == 0 and
        j["latency_ns"]["count"] > 0 and 0 < j["latency_ns"]["min"] <=
        j["latency_ns"]["p50"] <= j["latency_ns"]["max"]'
}

for proto in ws frame raw; do
    start_echo --proto $proto --listen 127.0.0.1:0
    bench "$proto://$address"
    good $proto
    json "$proto" "$tmp/json" "j['protocol'] == '$proto' and
        j['loop'] == 'closed' and j['depth'] == 1 and j['connections'] == 1"
    bench "$proto://$address" --connections 5 --depth 7 --size 1000
    good "$proto pipelined"
    bench "$proto://$address" --connections 3 --size 300k --depth 4
    good "$proto, large"
    bench "$proto://$address" --connections 3 --rate 500 --spin
    good "$proto, open loop"
    json "$proto, open loop" "$tmp/json" "j['loop'] == 'open' and
        j['rate'] == 500 and j['latency_ns']['count'] == 100"
    stop_echo TERM
    expect "$proto: status" 0 $status
    start_echo --proto $proto --listen "unix:$tmp/socket"
    where=$proto://$address
    test $proto != ws || where=ws+$address
    bench "$where" --backend poll
    good "$proto over unix"
    stop_echo TERM
done

start_echo --listen 127.0.0.1:0
bench "ws://$address/" --text --size 0
good "text of no bytes"
status=0
"$tool" bench --warmup 0 --seconds 0.1 "ws://$address/" >"$tmp/out" ||
    status=$?
expect "as text: status" 0 $status
expect_text "as text" "$tmp/out" '^  [1-9][0-9,]* messages/s   [0-9.]* MB/s'
expect_text "as text" "$tmp/out" '^  p50 .* max '
expect_text "as text" "$tmp/out" '^Closed loop'

# A server that goes away in between.
"$tool" bench --seconds 60 "ws://$address/" >"$tmp/out" 2>"$tmp/err" &
client=$!
servers="$servers $client"
while :; do # until it is connected, as a second one sees it
    bench "ws://$address/"
    test $status = 0 && break
done
stop_echo TERM
expect_text "drained" "$tmp/counts" '^drained: [12] closed cleanly, 0 reset'
status=0
wait $client || status=$?
expect "gone: status" 1 $status
expect_text "gone" "$tmp/err" \
    "^sonicio bench: ws://$address/: closed by the server: 1001\$"
bench "ws://$address/"
expect "refused: status" 1 $status
expect_text "refused" "$tmp/err" \
    "^sonicio bench: ws://$address/: Connection refused\$"

# A server that takes it all, and answers nothing.
start_echo --listen 127.0.0.1:0
status=0
"$tool" bench --warmup 0.05 --seconds 0.1 "raw://$address" >"$tmp/out" \
    2>"$tmp/err" || status=$?
expect "no echo: status" 1 $status
expect "no echo: output" "" "$(cat "$tmp/out")"
expect_text "no echo" "$tmp/err" \
    "^sonicio bench: raw://$address: nothing came back: is this an echo server for raw\?\$"
stop_echo TERM

finish
