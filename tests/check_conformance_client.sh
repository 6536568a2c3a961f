#!/bin/sh
# The conformance suite against clients: the one that is an example, and one
# that takes and sends messages in every way there is.
# shellcheck disable=SC1091,SC2154,SC2086 # conformance.sh; lists of words
. "${top_srcdir:-.}/tests/support/conformance.sh"
example=$top_builddir/examples/autobahn_client

for backend in epoll poll; do
    "$tool" echo --help | grep -q "$backend" || continue
    SONIC_BACKEND=$backend
    export SONIC_BACKEND
    play "examples/autobahn_client, TCP, $backend" \
        client 127.0.0.1:0 $cases -- "$example" @URL@ "sonicio 1/0"
    rm -f "$tmp/sock"
    play "a client, unix, each piece by itself, $backend" --step \
        client "unix:$tmp/sock" $plain -- "$subject" client @URL@
done
unset SONIC_BACKEND

agreed=$deflate
for deliver in chunk frame read into read-chunk read-frame; do
    deflate=$agreed
    case $deliver in *frame) deflate= ;; esac # they see frames as they are
    play "a client that is delivered to by $deliver" client 127.0.0.1:0 \
        $plain -- "$subject" client @URL@ --deliver $deliver
done
deflate=$agreed
for send in parts async reserve; do
    play "a client that sends by $send" client 127.0.0.1:0 \
        $plain -- "$subject" client @URL@ --send $send
done

# Every way to compress and to inflate.
for way in "--takeover 1 --threshold 1 --send parts" \
    "--takeover 0 --deliver chunk" \
    "--memory 1 --level 9 --threshold 1 --deliver into --send reserve"; do
    test -n "$deflate" || continue
    play "a client with $way" client 127.0.0.1:0 $squeezed -- \
        "$subject" client @URL@ $way
done

# Over TLS; whom to trust is OpenSSL's own business.
if test $has_tls = yes; then
    SSL_CERT_FILE=$tmp/cert.crt
    export SSL_CERT_FILE
    for backend in epoll poll; do
        "$tool" echo --help | grep -q "$backend" || continue
        SONIC_BACKEND=$backend
        export SONIC_BACKEND
        play "examples/autobahn_client, TLS, $backend" --tls "$tmp/cert" \
            client 127.0.0.1:0 $over_tls -- "$example" @URL@ sonicio
    done
    unset SONIC_BACKEND
    for way in "--deliver chunk" "--deliver read --send parts"; do
        play "a client with $way, TLS" --tls "$tmp/cert" \
            client 127.0.0.1:0 $over_tls -- "$subject" client @URL@ $way
    done
fi

finish
