#!/bin/sh
# sonicio over TLS: echo, connect, bench and demo, against each other and
# against openssl(1).
# shellcheck disable=SC1091,SC2154 # tool.sh has its own look
. "${top_srcdir:-.}/tests/support/tool.sh"

if ! command -v openssl >/dev/null; then
    echo "skipped: there is no openssl(1) to make certificates with"
    exit 77
fi
if "$tool" echo --tls-cert /nowhere 2>&1 | grep -q 'not part of this build'
then
    echo "skipped: built without TLS"
    exit 77
fi

# certificate NAME SAN
certificate()
{
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -keyout "$tmp/$1.key" -out "$tmp/$1.pem" -days 2 -subj "/CN=$1" \
        -addext "subjectAltName=$2" 2>"$tmp/err" || fail "openssl req"
}

# talk OPTION...: says hello; sets status
talk()
{
    status=0
    echo hello | "$tool" connect --count 1 "$@" >"$tmp/out" 2>"$tmp/err" ||
        status=$?
}

certificate first IP:127.0.0.1,DNS:localhost
certificate second DNS:second.test,IP:127.0.0.1

# ---- WebSocket -------------------------------------------------------------
start_echo --listen 127.0.0.1:0
talk "wss://$address/"
expect "TLS to none: status" 1 $status
expect_text "TLS to none" "$tmp/err" 'speaks HTTP without TLS: try ws://'
stop_echo TERM
start_echo --listen 127.0.0.1:0 --tls-cert "$tmp/first.pem" \
    --tls-key "$tmp/first.key"
echo "$line" >"$tmp/line"
expect_text "the first line" "$tmp/line" '\(ws over TLS\)$'
talk "wss://$address/" --cacert "$tmp/first.pem" --quiet
expect "trusted: status" 0 $status
expect "trusted" hello "$(cat "$tmp/out")"
talk "wss://$address/"
expect "a stranger: status" 1 $status
expect_text "a stranger" "$tmp/err" 'self-signed certificate'
expect_text "a stranger: advice" "$tmp/err" '--cacert FILE'
talk "wss://$address/" --cacert "$tmp/second.pem"
expect "another authority: status" 1 $status
talk "wss://$address/" --insecure
expect "insecure: status" 0 $status
expect_text "insecure: told" "$tmp/err" 'not verified'
talk "wss://$address/" --insecure --ktls
expect "ktls: status" 0 $status
expect "ktls" hello "$(cat "$tmp/out")"
expect_text "ktls: told" "$tmp/err" '^kTLS: (active|the )'
talk "ws://$address/"
expect "without TLS: status" 1 $status
expect_text "without TLS: advice" "$tmp/err" 'try wss://'
"$tool" bench "wss://$address/" --cacert "$tmp/first.pem" -s 0.2 --warmup 0.05 \
    --json >"$tmp/bench"
expect "bench: status" 0 $?
json "bench" "$tmp/bench" 'j["messages"] > 0'

# ---- other certificates, without a restart ---------------------------------
cp "$tmp/second.pem" "$tmp/first.pem.new"
mv "$tmp/first.pem" "$tmp/old.pem"
mv "$tmp/first.pem.new" "$tmp/first.pem"
mv "$tmp/first.key" "$tmp/old.key"
cp "$tmp/second.key" "$tmp/first.key"
kill -s HUP "$pid"
n=0
until talk "wss://$address/" --cacert "$tmp/second.pem" --quiet &&
    test $status = 0; do
    n=$((n + 1))
    test $n -lt 100 || break
done
expect "after SIGHUP: status" 0 $status
talk "wss://$address/" --cacert "$tmp/old.pem"
expect "after SIGHUP, the old one: status" 1 $status
stop_echo TERM
expect "end: status" 0 $status

# ---- frames and bytes ------------------------------------------------------
for proto in frame raw; do
    start_echo --listen 127.0.0.1:0 --proto $proto \
        --tls-cert "$tmp/old.pem" --tls-key "$tmp/old.key"
    { printf '\0\0\0\5hello'; sleep 1; } |
        openssl s_client -connect "$address" -CAfile "$tmp/old.pem" \
            -verify_return_error -quiet -no_ign_eof >"$tmp/out" 2>"$tmp/err"
    expect "$proto: openssl" "$(printf '\0\0\0\5hello' | od -c)" \
        "$(od -c <"$tmp/out")"
    stop_echo TERM
    expect "$proto: status" 0 $status
done

# ---- several certificates --------------------------------------------------
start_echo --listen 127.0.0.1:0 --tls-cert "$tmp/old.pem" \
    --tls-key "$tmp/old.key" --tls-cert "$tmp/second.pem" \
    --tls-key "$tmp/second.key"
for name in first:localhost second:second.test; do
    openssl s_client -connect "$address" -servername "${name#*:}" </dev/null \
        2>/dev/null | openssl x509 -noout -subject >"$tmp/out"
    expect_text "by name: ${name#*:}" "$tmp/out" "CN ?= ?${name%:*}\$"
done
stop_echo TERM

# ---- wrong use -------------------------------------------------------------
status=0
"$tool" echo --tls-cert /nowhere/at/all >"$tmp/out" 2>"$tmp/err" || status=$?
expect "no such file: status" 1 $status
expect_text "no such file" "$tmp/err" '/nowhere/at/all: No such file'
status=0
"$tool" echo --tls-key x >"$tmp/out" 2>"$tmp/err" || status=$?
expect "a key alone: status" 2 $status

# ---- the demo --------------------------------------------------------------
"$tool" demo --tls --seconds 0.5 --json >"$tmp/demo"
expect "demo: status" 0 $?
json "demo" "$tmp/demo" 'j["good"] and j["sent"] > 0'

finish
