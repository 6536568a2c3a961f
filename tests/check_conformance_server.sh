#!/bin/sh
# The conformance suite against servers: sonicio echo, and an echo that takes
# and sends messages in every way there is.
# shellcheck disable=SC1091,SC2154,SC2086 # conformance.sh; lists of words
. "${top_srcdir:-.}/tests/support/conformance.sh"

# start_subject OPTION...: as start_echo
start_subject()
{
    rm -f "$tmp/fifo"
    mkfifo "$tmp/fifo" || exit 1
    "$subject" server "$@" >"$tmp/fifo" &
    pid=$!
    servers="$servers $pid"
    exec 3<"$tmp/fifo"
    line=
    read -r line <&3
    address=${line#listening on }
    address=${address% (*}
}

end_server()
{
    stop_echo TERM
    expect "its status" 0 $status
}

for backend in epoll poll; do
    "$tool" echo --help | grep -q "$backend" || continue
    start_echo --listen 127.0.0.1:0 --backend $backend $deflate
    play "sonicio echo, TCP, $backend" server "$address" $cases
    end_server

    start_echo --listen "unix:$tmp/sock" --backend $backend $deflate
    play "sonicio echo, unix, each piece by itself, $backend" \
        --step server "$address" $plain
    end_server
done

for deliver in whole chunk frame read into read-chunk read-frame; do
    start_subject 127.0.0.1:0 --deliver $deliver
    play "echo that is delivered by $deliver" server "$address" $plain
    end_server
done
for send in parts async reserve; do
    start_subject "unix:$tmp/sock" --send $send
    play "echo that sends by $send" server "$address" $plain
    end_server
done

# Every way to compress and to inflate.
for way in "--takeover 1 --peer-takeover 1 --threshold 1" \
    "--takeover 1 --bits 9 --memory 1 --level 9 --threshold 1 --send parts" \
    "--bits 8 --peer-bits 8 --memory 9 --send reserve" \
    "--peer-takeover 1 --peer-bits 10 --deliver chunk" \
    "--deliver into --send async" "--deliver read-chunk --takeover 1"; do
    test -n "$deflate" || continue
    start_subject 127.0.0.1:0 $way
    play "echo with $way" server "$address" $squeezed
    end_server
done

# Over TLS.
if test $has_tls = yes; then
    for backend in epoll poll; do
        "$tool" echo --help | grep -q "$backend" || continue
        start_echo --listen 127.0.0.1:0 --backend $backend $deflate \
            --tls-cert "$tmp/cert.crt" --tls-key "$tmp/cert.key"
        play "sonicio echo, TLS, $backend" --tls "$tmp/cert" \
            server "$address" $over_tls
        end_server
    done
    for way in "--deliver chunk" "--deliver into --send async"; do
        start_subject 127.0.0.1:0 --cert "$tmp/cert" $way
        play "echo with $way, TLS" --tls "$tmp/cert" \
            server "$address" $over_tls
        end_server
    done
fi

# The runner finds what is wrong.
start_echo --listen 127.0.0.1:0
seen=$((seen + 1))
"$runner" --hasty --slow $slow server "$address" \
    "$top_srcdir/tests/conformance/wrong.cases" >"$tmp/wrong" && fail "the runner finds nothing wrong"
n=$(grep -c '^case ' "$top_srcdir/tests/conformance/wrong.cases")
expect_text "all $n of them" "$tmp/wrong" "^$n cases, $n failed\$"
end_server

finish
