#!/bin/sh
# A file includes only its own floor and those below, and a protocol reaches
# neither descriptors nor the reactor: it is handed bytes.
set -u
cd "${top_srcdir:-.}" || exit 1

bad=0
seen=0

# floor NAME PATTERN: no file under NAME includes what matches PATTERN.
floor()
{
    test -d "$1" || return 0
    # shellcheck disable=SC2044 # our names have no spaces
    for f in $(find "$1" -name '*.[ch]' -o -name '*.def'); do
        seen=$((seen + 1))
        if grep -nE "^ *# *include *[<\"]($2)" "$f" /dev/null |
            grep -v '<net/if\.h>'; then # the system's
            bad=$((bad + 1))
        fi
    done
}

up='(\.\./)*'
floor src/base "$up(buffer|reactor|net|sim|websocket|frame|fsm|mold|sequence|soup)/"
floor src/buffer "$up(reactor|net|sim|websocket|frame|fsm|mold|sequence|soup)/"
floor src/reactor "$up(net|websocket|frame|fsm|mold|sequence|soup)/"
floor src/net "$up(websocket|frame|fsm|mold|sequence|soup)/"
floor protocols "$up(src/)?(reactor|net)/"
floor tools "$up(src/)?(base|buffer|reactor|net|sim|websocket|frame|fsm|mold|sequence|soup)/"
floor examples "$up(src/)?(base|buffer|reactor|net|sim|websocket|frame|fsm|mold|sequence|soup)/"
# A peer that shares our code would share our mistakes.
floor tests/conformance "sonicio/|$up(src/|protocols/)?(base|buffer|reactor|net|sim|websocket|support)/"

echo "$seen files looked at, $bad reach upwards"
test $seen -gt 0 && test $bad = 0
