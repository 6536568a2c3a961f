#!/bin/sh
# sonicio soup serve and sonicio soup connect, one against the other.
# shellcheck disable=SC1091,SC2154 # tool.sh has its own look
. "${top_srcdir:-.}/tests/support/tool.sh"

# serve OPTION...: sets pid and address
serve()
{
    rm -f "$tmp/fifo"
    mkfifo "$tmp/fifo" || exit 1
    "$tool" soup serve "$@" >"$tmp/fifo" 2>"$tmp/serve.err" &
    pid=$!
    servers="$servers $pid"
    exec 3<"$tmp/fifo"
    line=
    read -r line <&3
    address=${line#serving * at }
}

# served: waits for the server's end; sets status, its output in $tmp/serve
served()
{
    cat <&3 >"$tmp/serve"
    exec 3<&-
    status=0
    wait "$pid" || status=$?
    servers=
}

# follow OPTION...: sets status
follow()
{
    status=0
    "$tool" soup connect "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
}

# ---- a session from end to end, over each kind of stream ----------------------
for where in 127.0.0.1:0 '[::1]:0' "unix:$tmp/soup"; do
    case $where in
    *::1*) if ! grep -q . /proc/net/if_inet6 2>/dev/null; then
        echo "no IPv6 here: not tried over it"
        continue
    fi ;;
    esac
    serve -n 300 --rate 3k "$where"
    follow --json "$address" </dev/null
    expect "$where: status" 0 $status
    json "$where" "$tmp/out" "j['messages'] == 300 and j['first'] == 1 and
        j['next'] == 301 and j['logins'] == 1 and j['gaps'] == 0 and
        j['session'] == 'SONICIO' and j['ended']"
    served
    expect "$where: server's status" 0 $status
    expect_text "$where" "$tmp/serve" '^300 messages, 1 logins, 0 refused'
done

# ---- connections that are cut, and a session that goes on ----------------------
serve -n 500 --rate 50k --drop-after 70 127.0.0.1:0
follow --json "$address" </dev/null
expect "cut: status" 0 $status
json "cut" "$tmp/out" "j['messages'] == 500 and j['breaks'] == 7 and
    j['logins'] == 8 and j['gaps'] == 0"
served
expect_text "cut" "$tmp/serve" '^500 messages, 8 logins, 0 refused, 7 conn'

# ---- from the middle, and so many; messages printed; lines sent -----------------
serve -n 90 --rate 90 -u bob -p secret -s DAY9 127.0.0.1:0
printf 'an order\n' >"$tmp/in"
follow -u BOB -p SECRET -n 3 "$address" <"$tmp/in"
expect "three: status" 0 $status
expect "three" "1 2 3" "$(cut -d ' ' -f 1 "$tmp/out" | tr '\n' ' ' |
    sed 's/ $//')"
expect_text "three" "$tmp/err" '^session DAY9, from message 1 on$'
follow -u bob -p secret --first 2 -n 2 --hexdump "$tmp/hex" "$address" \
    <"$tmp/in"
expect "from 2: status" 0 $status
expect_text "from 2" "$tmp/err" '^2 messages, from 2 to 3; 1 logins, 0 broken'
follow -u bob -p wrong "$address" </dev/null
expect "wrong password: status" 1 $status
expect_text "wrong password" "$tmp/err" 'wrong user or password'
follow -u bob -p secret -s DAY8 "$address" </dev/null
expect "no such session: status" 1 $status
expect_text "no such session" "$tmp/err" 'no such session'
follow -u bob -p secret -q "$address" </dev/null
expect "all of it: status" 0 $status
served
expect "server's status" 0 $status
expect_text "what it was told" "$tmp/serve" '^> an order$'

# ---- what Wireshark makes of it -------------------------------------------------
if command -v tshark >/dev/null && command -v text2pcap >/dev/null; then
    text2pcap -q -D -T 1024,30010 "$tmp/hex" "$tmp/cap" >/dev/null 2>&1
    tshark -r "$tmp/cap" -d tcp.port==30010,soupbintcp -Y soupbintcp \
        -T fields -e soupbintcp.packet_type -e soupbintcp.session \
        -e _ws.malformed >"$tmp/seen" 2>/dev/null
    expect "tshark: packets" "$(grep -c '^[IO]$' "$tmp/hex")" \
        "$(wc -l <"$tmp/seen" | tr -d ' ')"
    expect "tshark: complaints" 0 \
        "$(awk -F '\t' '$3 != ""' "$tmp/seen" | wc -l | tr -d ' ')"
    expect_text "tshark: the login's answer" "$tmp/seen" "A.*DAY9"
    tshark -r "$tmp/cap" -d tcp.port==30010,soupbintcp -V >"$tmp/seen" \
        2>/dev/null
    expect_text "tshark: its number" "$tmp/seen" 'Next sequence number: 2$'
    expect_text "tshark: a message's" "$tmp/seen" 'Sequence number: 3 '
else
    echo "no tshark or text2pcap: what was sent was not looked at"
fi

# ---- nobody there, and mistakes --------------------------------------------------
follow --retries 1 "$address" </dev/null
expect "nobody there: status" 1 $status
expect_text "nobody there" "$tmp/err" 'refused'
mistake()
{
    name=$1 pattern=$2
    shift 2
    status=0
    "$tool" soup "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
    expect "$name: status" 2 $status
    expect_text "$name" "$tmp/err" "$pattern"
}
mistake "nothing" 'serve or connect\?'
mistake "something else" 'serve or connect\?' talk
mistake "no address" 'connect where\?' connect
mistake "two addresses" 'one address at a time' serve a:1 b:2
mistake "user" 'is not up to 6 printable' connect -u 1234567 a:1
mistake "session" 'is not 1 to 10' connect -s '' a:1
mistake "silence" 'shorter than a heartbeat' connect --silence 1 \
    --heartbeat 2 a:1
status=0
"$tool" soup serve nowhere >"$tmp/out" 2>"$tmp/err" || status=$?
expect "no such place: status" 1 $status
expect_text "no such place" "$tmp/err" 'nowhere: '
"$tool" soup --help >"$tmp/out"
expect_text "help" "$tmp/out" '^Usage: sonicio soup'

finish
