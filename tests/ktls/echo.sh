#!/bin/sh
# sonicio against itself over TLS that the kernel encrypts at both ends.
sonicio echo --listen 127.0.0.1:4433 --tls-cert /tests/cert.pem \
    --tls-key /tests/key.pem --ktls >/tmp/echo 2>&1 &
n=0
until busybox grep -q '^listening' /tmp/echo; do
    n=$((n + 1))
    test $n -lt 60 || break
    busybox sleep 1
done
echo hello | sonicio connect --count 1 --insecure --ktls \
    wss://127.0.0.1:4433/ >/tmp/said 2>/tmp/told
busybox cat /tmp/echo /tmp/said /tmp/told
test "$(busybox cat /tmp/said)" = hello &&
    busybox grep '^kTLS: active' /tmp/told
