#!/bin/sh
# Real programs, written elsewhere, talk to sonicio; and one that misbehaves.
#
# usage: run.sh [NAME...]   of: websockets others soup ws curl nginx browser
#                           abuse excess tshark; all when none is given
#
# make check-interop runs it in the build directory, with top_srcdir set.  A
# program that is not here is skipped, or with CI=true counts as a failure.
# npm's ws is installed below ./interop.tmp.  A line PASS, FAIL or SKIP for
# each case; the last line is "N passed, M failed".
set -u
here=${top_srcdir:-.}/tests/interop
PYTHON=${PYTHON:-/usr/bin/python3}
ws_version=8.18.0
tmp=$PWD/interop.tmp
limit=600 # seconds for one program

# What libtool makes of a program runs it in its own process.
SONICIO=${SONICIO:-$PWD/tools/sonicio}
WS_ECHO=${WS_ECHO:-$PWD/examples/ws_echo}
WITNESS=${WITNESS:-$PWD/tests/interop/witness}
AUTOBAHN_CLIENT=${AUTOBAHN_CLIENT:-$PWD/examples/autobahn_client}
FEED=${FEED:-$PWD/examples/websocket_broadcast}
WS_MODULES=$tmp/node_modules
export SONICIO WS_ECHO WITNESS FEED AUTOBAHN_CLIENT WS_MODULES
mkdir -p "$tmp" || exit 1
: >"$tmp/results"

# program NAME COMMAND...: its lines are counted below
program()
{
    name=$1
    shift
    {
        timeout -k 10 $limit "$@"
        status=$?
        # One that ended without having said why.
        test $status -le 1 || echo "FAIL $name: ended with status $status"
        test $status != 0 || echo "END $name"
    } >"$tmp/$name.log" 2>&1
    if ! grep -Eq "^(FAIL|END) " "$tmp/$name.log"; then
        echo "FAIL $name: ended with an error, and no case failed" \
            >>"$tmp/$name.log"
    fi
    grep -v '^END ' "$tmp/$name.log"
    cat "$tmp/$name.log" >>"$tmp/results"
}

# missing NAME REASON
missing()
{
    if test "${CI-}" = true; then
        echo "FAIL $1: $2" | tee -a "$tmp/results"
    else
        echo "SKIP $1: $2"
    fi
}

run_websockets()
{
    if ! "$PYTHON" -c 'import websockets.legacy.server' 2>"$tmp/why"; then
        missing websockets \
            "install python3-websockets: $(tail -n 1 "$tmp/why")"
        return
    fi
    program websockets_client "$PYTHON" -B "$here/websockets_client.py"
    program websockets_server "$PYTHON" -B "$here/websockets_server.py"
    program websockets_witness "$PYTHON" -B "$here/websockets_witness.py"
    program websockets_feed "$PYTHON" -B "$here/websockets_feed.py"
    program websockets_squeezed "$PYTHON" -B "$here/websockets_squeezed.py"
}

# More libraries of Python.
run_others()
{
    for name in aiohttp autobahn tornado; do
        if "$PYTHON" -c "import $name" 2>"$tmp/why"; then
            program $name "$PYTHON" -B "$here/others.py" $name
        else
            missing $name "install python3-$name: $(tail -n 1 "$tmp/why")"
        fi
    done
}

run_soup()
{
    if ! "$PYTHON" -c 'import gi; gi.require_version("Soup", "3.0")' \
        2>"$tmp/why"; then
        missing soup \
            "install python3-gi gir1.2-soup-3.0: $(tail -n 1 "$tmp/why")"
        return
    fi
    program soup "$PYTHON" -B "$here/soup.py"
}

run_ws()
{
    if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
        missing ws "install nodejs and npm"
        return
    fi
    if ! grep -q "\"version\": \"$ws_version\"" \
        "$WS_MODULES/ws/package.json" 2>/dev/null &&
        ! timeout -k 10 120 npm install --prefix "$tmp" --no-save \
            --no-audit --no-fund --ignore-scripts "ws@$ws_version" \
            >"$tmp/npm.log" 2>&1; then
        missing ws "npm install: $(tail -n 1 "$tmp/npm.log")"
        return
    fi
    program ws_client node "$here/ws_client.js"
    program ws_server node "$here/ws_server.js"
    program ws_witness node "$here/ws_witness.js"
    program ws_squeezed node "$here/ws_squeezed.js"
}

run_curl()
{
    if ! command -v curl >/dev/null; then
        missing curl "install curl"
        return
    fi
    program curl "$PYTHON" -B "$here/curl.py"
}

run_nginx()
{
    if ! command -v nginx >/dev/null && ! test -x /usr/sbin/nginx; then
        missing nginx "install nginx-light"
        return
    fi
    if ! "$PYTHON" -c 'import websockets.legacy.client' 2>"$tmp/why"; then
        missing nginx "install python3-websockets: $(tail -n 1 "$tmp/why")"
        return
    fi
    program nginx "$PYTHON" -B "$here/nginx.py"
}

run_browser()
{
    if ! command -v "${CHROMIUM:-chromium}" >/dev/null; then
        missing browser "install chromium"
        return
    fi
    program browser "$PYTHON" -B "$here/browser.py"
}

run_excess()
{
    program excess "$PYTHON" -B "$here/excess.py"
}

run_tshark()
{
    if ! command -v tshark >/dev/null; then
        missing tshark "install tshark"
        return
    fi
    if ! tshark -q -i lo -a duration:0 -w "$tmp/none" 2>"$tmp/why"; then
        missing tshark "no permission to capture: $(tail -n 1 "$tmp/why")"
        return
    fi
    program tshark "$PYTHON" -B "$here/tshark.py"
}

run_abuse()
{
    program abuse "$PYTHON" -B "$here/abuse.py"
}

test $# -gt 0 || set -- websockets others soup ws curl nginx browser abuse \
    excess tshark
for name in "$@"; do
    case $name in
    websockets | others | soup | ws | curl | nginx) ;;
    browser | abuse | excess | tshark) ;;
    *) echo "run.sh: there is no $name" >&2 && exit 2 ;;
    esac
done
for name in "$@"; do
    "run_$name"
done
passed=$(grep -c '^PASS ' "$tmp/results")
failed=$(grep -c '^FAIL ' "$tmp/results")
test "$failed" = 0 || echo "---- what failed:"
grep '^FAIL ' "$tmp/results"
echo "$passed passed, $failed failed"
test "$failed" = 0 && test "$passed" -gt 0
