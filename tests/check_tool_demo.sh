#!/bin/sh
# sonicio demo: nothing is lost, in both protocols, on each backend.
# shellcheck disable=SC1091,SC2154 # tool.sh has its own look
. "${top_srcdir:-.}/tests/support/tool.sh"

status=0
"$tool" demo --seconds 1 >"$tmp/out" 2>"$tmp/err" || status=$?
expect "demo: status" 0 $status
expect "demo: errors" "" "$(cat "$tmp/err")"
expect_text demo "$tmp/out" '^  0 lost, 0 reordered, 0 corrupt, of [1-9]'
expect_text demo "$tmp/out" '^  0 allocations and 0\.[0-9]* system calls per'
expect_text demo "$tmp/out" '^WebSocket +[1-9][0-9,]* '
expect_text demo "$tmp/out" '^frames +[1-9][0-9,]* '
expect_text demo "$tmp/out" '^  p50 .* p99\.99 .* max '
expect_text demo "$tmp/out" ' us - .* p50'
# Nothing of the live table where there is no terminal.
seen=$((seen + 1))
if grep -q "$(printf '\033')" "$tmp/out"; then
    fail "escape sequences in a file"
fi

# odd OPTION...: all is well, whatever the numbers
odd()
{
    status=0
    "$tool" demo --seconds 0.3 --json "$@" >"$tmp/json" 2>"$tmp/err" ||
        status=$?
    expect "demo $*: status" 0 $status
    expect "demo $*: errors" "" "$(cat "$tmp/err")"
    json "demo $*" "$tmp/json" 'j["good"] and j["sent"] > 0 and
        j["lost"] + j["reordered"] + j["corrupt"] == 0 and
        j["messages"] == sum(j[p]["messages"] for p in ("websocket", "frame"))
        and 0 < j["latency_ns"]["min"] <= j["latency_ns"]["p50"] <=
        j["latency_ns"]["p99.99"] <= j["latency_ns"]["max"]'
}
odd
json "the default" "$tmp/json" 'j["clients"] == 8 and j["size"] == 64 and
    j["frame"]["messages"] > 0 and j["websocket"]["messages"] > 0 and
    j["allocations"] == 0 and j["system_calls_per_message"] < 0.35'
odd --clients 1 --size 32
odd --clients 3 --size 33
odd --clients 100 --size 1000
odd --clients 4 --size 9000
odd --clients 2 --size 256k
for backend in epoll poll; do
    SONIC_BACKEND=$backend "$tool" demo --seconds 0.1 >/dev/null \
        2>"$tmp/err" || continue # not built
    odd --backend $backend
    json "--backend" "$tmp/json" "j['backend'] == '$backend'"
done

finish
