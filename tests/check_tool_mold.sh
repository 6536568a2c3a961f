#!/bin/sh
# sonicio mold: a feed spoilt on purpose is recovered, on one machine.
# shellcheck disable=SC1091,SC2154 # tool.sh has its own look
. "${top_srcdir:-.}/tests/support/tool.sh"

# A free UDP port is one that a server of ours was given and gave back: ports
# are drawn from a range of this process's own.
base=$((20000 + $$ % 20000))

# feed NAME PUBLISH-OPTIONS -- SUBSCRIBE-OPTIONS: sets status (subscriber's);
# output in $tmp/sub, $tmp/pub.  $feeds, $server are used by both.
feed()
{
    publish=
    shift
    while test "$1" != --; do
        publish="$publish $1"
        shift
    done
    shift
    # shellcheck disable=SC2086 # lists of words
    "$tool" mold subscribe $feeds $server "$@" >"$tmp/sub" 2>"$tmp/sub.err" &
    sub=$!
    servers="$servers $sub"
    # shellcheck disable=SC2086
    "$tool" mold publish $feeds ${publisher:-$server} --start 0.3 --linger 1 \
        $publish >"$tmp/pub" 2>"$tmp/pub.err"
    expect "publish$publish: status" 0 $?
    status=0
    wait $sub || status=$?
    servers=
}

v4="-f 127.0.0.1:$base -f 127.0.0.1:$((base + 1))"
v6="-f [::1]:$base -f [::1]:$((base + 1))"

# ---- 5 % of everything, on both feeds ---------------------------------------
for feeds in "$v4" "$v6"; do
    case $feeds in
    *::1*)
        if ! grep -q . /proc/net/if_inet6 2>/dev/null; then
            echo "no IPv6 here: not tried over it"
            continue
        fi
        server="-r [::1]:$((base + 2))"
        ;;
    *) server="-r 127.0.0.1:$((base + 2))" ;;
    esac
    feed spoilt --loss 5% --duplicate 5% --reorder 5% -n 10k --rate 20k -- \
        --json
    expect "spoilt: status" 0 $status
    json "spoilt" "$tmp/sub" "j['messages'] == 10000 and j['ended'] and
        j['lost'] + j['duplicated'] + j['reordered'] + j['wrong'] == 0 and
        j['gaps'] == j['filled'] and j['a']['missed'] > 0 and
        j['b']['missed'] > 0 and j['recovery_ns']['count'] == j['filled']"
done

# ---- one feed alone: all that is lost comes from the server ------------------
feeds="-f 127.0.0.1:$base"
server="-r 127.0.0.1:$((base + 2))"
feed alone --loss 20 --seed 7 -n 2k --rate 10k --packet-max 200 \
    --hexdump "$tmp/hex" -- --request-delay 0.0005
expect "one feed: status" 0 $status
expect_text "one feed" "$tmp/sub" '^2,000 messages'
expect_text "one feed" "$tmp/sub" \
    '^gap [0-9]+-[0-9]+ filled after .*: 0 by a feed, [1-9][0-9]* by a server'
expect_text "one feed" "$tmp/pub" '^server: [1-9][0-9]* requests'

# ---- what Wireshark makes of it ----------------------------------------------
if command -v tshark >/dev/null && command -v text2pcap >/dev/null; then
    text2pcap -q -u 1024,30001 "$tmp/hex" "$tmp/cap" >/dev/null 2>&1
    tshark -r "$tmp/cap" -d udp.port==30001,moldudp64 -T fields \
        -e moldudp64.session -e moldudp64.sequence -e moldudp64.count \
        -e _ws.malformed -e moldudp64.msglen.invalid \
        -e moldudp64.count.invalid -e moldudp64.end_of_session_extra \
        >"$tmp/seen" 2>/dev/null
    expect "tshark: packets" "$(grep -c '^O$' "$tmp/hex")" \
        "$(wc -l <"$tmp/seen" | tr -d ' ')"
    expect "tshark: the first" "SONICIO   " "$(sed -n '1s/	.*//p' "$tmp/seen")"
    expect "tshark: complaints" 0 \
        "$(awk -F '\t' '$4 $5 $6 $7 != ""' "$tmp/seen" | wc -l | tr -d ' ')"
    expect "tshark: the end" 65535 \
        "$(tail -n 1 "$tmp/seen" | cut -f 3)"
else
    echo "no tshark or text2pcap: captures were not looked at"
fi

# ---- nobody to ask: what is lost is lost, and said ----------------------------
publisher="-r 127.0.0.1:$((base + 3))"
feed lost --loss 30 --seed 3 -n 500 --rate 5k -- -q --request-timeout 0.02
expect "lost: status" 1 $status
expect_text "lost" "$tmp/sub" '^LOST [0-9]+-[0-9]+$'
publisher=

# ---- a second server, which misses packets itself -----------------------------
feeds=$v4
server="-r 127.0.0.1:$((base + 4))"
rm -f "$tmp/fifo"
mkfifo "$tmp/fifo" || exit 1
# shellcheck disable=SC2086
"$tool" mold serve -f 127.0.0.1:$((base + 5)) $server >"$tmp/fifo" 2>&1 &
pid=$!
servers="$pid"
exec 3<"$tmp/fifo"
read -r line <&3
expect "serve" "answering at 127.0.0.1:$((base + 4))" "$line"
kill -TERM $pid
status=0
wait $pid || status=$?
servers=
cat <&3 >"$tmp/serve"
exec 3<&-
expect "serve: status" 0 $status
expect_text "serve" "$tmp/serve" '^kept 0 messages \(0 lost\); 0 requests'

# ---- silence ------------------------------------------------------------------
status=0
"$tool" mold subscribe -f 127.0.0.1:$base --wait 0.2 >"$tmp/sub" \
    2>"$tmp/sub.err" || status=$?
expect "silence: status" 1 $status
expect_text "silence" "$tmp/sub.err" 'nothing was heard for 0\.2 seconds'

# ---- mistakes -----------------------------------------------------------------
mistake()
{
    name=$1 pattern=$2
    shift 2
    status=0
    "$tool" mold "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
    expect "$name: status" 2 $status
    expect_text "$name" "$tmp/err" "$pattern"
}
mistake "nothing" 'publish, subscribe or serve\?'
mistake "something else" "'listen' is not publish, subscribe or serve" listen
mistake "two things" 'one thing at a time' publish serve
mistake "loss" "'120' is not a percentage" publish --loss 120
mistake "loss" "'x' is not a percentage" publish --loss x
mistake "feed" "'nowhere' is not ADDRESS:PORT" publish -f nowhere
mistake "session" 'is not 1 to 10 printable' publish -s 12345678901
mistake "size" 'does not fit into a packet' publish --size 2000
status=0
"$tool" mold subscribe -f 192.0.2.1:1 >"$tmp/out" 2>"$tmp/err" || status=$?
expect "an address of somebody else: status" 1 $status
expect_text "an address of somebody else" "$tmp/err" '192\.0\.2\.1:1: '
"$tool" mold --help >"$tmp/out"
expect_text "help" "$tmp/out" '^Usage: sonicio mold'

finish
