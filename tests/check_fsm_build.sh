#!/bin/sh
# A table that is wrong does not compile: one change to a right one at a time.
set -u
srcdir=${top_srcdir:-.}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

cat >"$tmp/machine.c" <<'CODE'
#define FSM_NAME "turnstile"
#define FSM_DEF "turnstile.def"
#define FSM_INFO turnstile_fsm
typedef int fsm_act(void);
static fsm_act act_thank, act_refuse, act_turn, act_alarm, act_impossible;
#include <sonicio/fsm_build.h>
#define ACT(name) static int act_##name(void) { return 0; }
ACT(thank) ACT(refuse) ACT(turn) ACT(alarm) ACT(impossible)
int turnstile(uint8_t *state);
int turnstile(uint8_t *state)
{
    return fsm_step(state, E_COIN, NULL)->act();
}
CODE

bad=0
tried=0
# compiles WHAT SED-SCRIPT: with that change, does it?
compiles()
{
    sed "$2" "$srcdir/tests/support/turnstile.def" >"$tmp/turnstile.def"
    if test -n "$2" &&
        cmp -s "$tmp/turnstile.def" "$srcdir/tests/support/turnstile.def"; then
        echo "$1: the table was not changed"
        bad=$((bad + 1))
    fi
    tried=$((tried + 1))
    # shellcheck disable=SC2086 # CC is a list of words
    ${CC:-cc} -std=c11 -Wall -Wextra -Werror -I"$srcdir/include" -I"$tmp" \
        -c -o "$tmp/machine.o" "$tmp/machine.c" >"$tmp/log" 2>&1
}

compiles "the table as it is" '' || {
    cat "$tmp/log"
    exit 1
}
refused()
{
    if compiles "$@"; then
        echo "it compiles with $1"
        bad=$((bad + 1))
    fi
}
refused "a row missing" '/^ROW(OPEN, *PUSH/d'
refused "a row twice" '/^ROW(OPEN, *PUSH/{p;}'
refused "one row for another" 's/^ROW(OPEN,   PUSH/ROW(OPEN,   COIN/'
refused "an unknown state" 's/^ROW(OPEN,   PUSH/ROW(NOWHERE,   PUSH/'
refused "an unknown event" 's/^ROW(OPEN,   PUSH/ROW(OPEN,   PULL/'
refused "an unknown next state" 's/PUSH, LOCKED, turn/PUSH, SHUT,   turn/'
refused "an unknown action" 's/LOCKED, turn/LOCKED, spin/'
refused "no reason" 's/, *"1: once for each coin"//'
refused "a state twice" 's/^STATE(OPEN)/&\n&/'
refused "a state without rows" 's/^STATE(OPEN)/&\nSTATE(AJAR)/'
refused "an event without rows" 's/^EVENT(PUSH)/&\nEVENT(PULL)/'

echo "$tried tables, $bad failures"
test $bad = 0
