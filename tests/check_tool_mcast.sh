#!/bin/sh
# sonicio mcast: one sends to a group on loopback, another receives.
# shellcheck disable=SC1091,SC2154 # tool.sh has its own look
. "${top_srcdir:-.}/tests/support/tool.sh"

# A group and a port of our own.
group=239.77.$(($$ / 256 % 256)).$(($$ % 256))
to=$group:$((20000 + $$ % 20000))

# run NAME STATUS ARG...: output in $tmp/out and $tmp/err
run()
{
    name=$1
    wanted=$2
    shift 2
    status=0
    "$tool" mcast "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
    expect "$name: status" "$wanted" $status
}

# receive OPTION...: in the background, once it has joined; sets pid
receive()
{
    "$tool" mcast recv "$to" --iface lo "$@" >"$tmp/got" 2>"$tmp/got.err" &
    pid=$!
    servers="$servers $pid"
    tries=0
    until "$tool" mcast stat "$to" | grep -q "^$to "; do
        tries=$((tries + 1))
        test $tries -lt 3000 || exit 1
        kill -0 $pid || exit 1
    done
}

# received: sets status
received()
{
    status=0
    wait $pid || status=$?
    servers=$(echo "$servers" | sed "s/ $pid\$//")
}

# ---- mistakes --------------------------------------------------------------
run "no side" 2
expect_text "no side" "$tmp/err" 'recv, send or stat'
run "another side" 2 listen "$to"
run "no group" 2 recv
expect_text "no group" "$tmp/err" 'which group'
run "no port" 2 recv 239.1.2.3
expect_text "no port" "$tmp/err" 'not GROUP:PORT'
run "port 0" 2 recv 239.1.2.3:0
run "no group's address" 2 recv 10.0.0.1:5000
expect_text "no group's address" "$tmp/err" 'not a multicast address'
run "no such interface" 1 recv "$to" --iface no-such-0
expect_text "no such interface" "$tmp/err" '^sonicio mcast: no-such-0: no such'
run "no such interface, sending" 1 send "$to" --iface no-such-0
run "no such interface, looking" 1 stat --iface no-such-0
run "no address" 1 recv "$to" --iface lo --source here
run "two families" 1 recv "$to" --iface lo --source ::1
expect_text "two families" "$tmp/err" 'do not mix'
run "not for send" 2 send "$to" --source 10.0.0.1
expect_text "not for send" "$tmp/err" '^sonicio mcast: --source is not for send$'
run "not for recv" 2 recv "$to" --rate 5
run "not for stat" 2 stat --count 5
run "too short" 2 send "$to" --size 27
run "two groups" 2 recv "$to" "$to"

# ---- from one to the other -------------------------------------------------
receive --count 500 --timestamps
run "send" 0 send "$to" --iface lo --count 500 --rate 5000
expect_text "send" "$tmp/out" '^sent 500 packets of 64 bytes, '
received
expect "recv: status" 0 $status
expect_text "recv" "$tmp/got" "^receiving from $to\$"
expect_text "recv" "$tmp/got" '^500 packets, 32,000 bytes, .* from 1 sender$'
expect_text "recv" "$tmp/got" '^missing 0 +duplicate 0 +reordered 0 +kernel '
expect_text "latency" "$tmp/got" "^latency, from the sender's clock"
expect_text "stamped" "$tmp/got" '^from the kernel to this program:'

for backend in epoll poll; do
    receive --json --count 300 --source 127.0.0.1 --backend $backend
    run "sources" 0 stat --json "$to"
    json "sources" "$tmp/out" "j['sources'][0]['source'] == '127.0.0.1' and
        j['sources'][0]['joined_by'] == 1 and
        j['groups'][0]['interface'] == 'lo' and
        j['sockets'][0]['bound'] == '$to'"
    run "send, JSON" 0 send "$to" -i lo -n 300 -r 10k -b 1000 --json
    json "send, JSON" "$tmp/out" "j['packets'] == 300 and
        j['bytes'] == 300000 and j['refused'] == 0"
    received
    expect "recv, JSON: status" 0 $status
    json "recv, JSON" "$tmp/got" "j['packets'] == 300 and j['missing'] == 0 and
        j['runs'] == 1 and j['latency_ns']['count'] == 300"
done

# Of another source: nothing.  A signal ends it.
receive --json --source 127.0.0.9
run "to nobody" 0 send "$to" -i lo -n 10 -r 10k --quiet
expect "quiet" "" "$(cat "$tmp/out")"
kill -TERM $pid
received
expect "a signal: status" 0 $status
json "another source" "$tmp/got" "j['packets'] == 0"

run "duration" 0 recv "$to" -i lo --duration 0.05 --quiet
run "nobody there" 0 stat "$to"
expect_text "nobody there" "$tmp/out" "^nobody on this machine is in $group\$"
run "everybody" 0 stat
expect_text "everybody" "$tmp/out" '^224\.0\.0\.1 +lo +1 '

finish
