#!/bin/sh
# mutants.sh - is every row of every table held in place by a test?
#
# Changes one row at a time, its next state or its action, in the machine as
# the unit tests have it (tests/support/fsm_cover.c does it when the program
# starts) and runs the tests that are named for it: one of them must fail.  A
# row whose action is `impossible` is left alone.
#
# Run by make check-mutants, in the build directory, with
#   MUTANT_MACHINES  words PATH:TEST[+TEST...], such as
#                    src/reactor/timer:check_timer (for timer.c, timer.def);
#                    the quickest test first
#   MUTANTS          one (default): one other state and one other action a row
#                    all: every other state and action a row
#   MUTANT_FILTER    only machines whose PATH matches this pattern of grep
# Survivors that cannot be told from the original are listed in
# tests/mutants.known, a line each:  PATH STATE EVENT goto|do NEW  why
set -u
: "${top_srcdir=.}" "${MUTANTS=one}" "${MUTANT_FILTER=.}"
: "${MUTANT_MACHINES=}" "${MUTANT_DIR=mutants.tmp}"
CK_FORK=no
CK_VERBOSITY=silent
export CK_FORK CK_VERBOSITY
known=$top_srcdir/tests/mutants.known

# list DEF: lines "STATE EVENT goto|do NEW BECOMES", where BECOMES is the whole
# changed row as SONIC_FSM_MUTANT has it, without the machine
list()
{
    awk -v all="$MUTANTS" '
    BEGIN { rows = n_states = n_acts = 0 }
    function trim(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }
    function mutate(kind, pool, n, old,    i, k) {
        for (i = 0; i < n; i++) {
            k = (rows + i) % n
            if (pool[k] == old) continue
            print state[r], event[r], kind, pool[k], state[r] "/" event[r] \
                "/" (kind == "goto" ? pool[k] "/" act[r] : next_[r] "/" pool[k])
            if (all != "all") return
        }
    }
    /^(STATE|FINAL)\(/ {
        split($0, f, /[()]/)
        states[n_states++] = trim(f[2])
    }
    /^ROW\(/ {
        split(substr($0, 5), f, ",")
        state[rows] = trim(f[1])
        event[rows] = trim(f[2])
        next_[rows] = trim(f[3])
        act[rows] = trim(f[4])
        if (act[rows] != "impossible" && !(act[rows] in seen)) {
            seen[act[rows]] = 1
            acts[n_acts++] = act[rows]
        }
        rows++
    }
    END {
        total = rows
        for (r = 0; r < total; r++) {
            if (act[r] == "impossible") continue
            rows = r + 1
            mutate("goto", states, n_states, next_[r])
            mutate("do", acts, n_acts, act[r])
        }
    }' "$1"
}

# one PATH TESTS NAME STATE EVENT KIND NEW BECOMES: prints KILLED, SURVIVED or
# BROKEN, and what it was about.  TESTS are words TEST=SECONDS with + between,
# of what each takes when nothing is changed.  A mutant that hangs is as good as
# killed: most turn round and round, which the processor's time tells soonest.
one()
{
    SONIC_FSM_MUTANT=$3/$8
    export SONIC_FSM_MUTANT
    verdict=SURVIVED
    for t in $(echo "$2" | tr + ' '); do
        took=${t#*=}
        # shellcheck disable=SC3045 # every sh here has -c and -t
        (ulimit -c 0 && ulimit -t $((3 + 2 * took)) &&
            exec timeout -k 2 $((20 + 10 * took)) "./tests/${t%=*}") \
            >/dev/null 2>&1
        case $? in
        0) ;;
        64) verdict=BROKEN && break ;; # fsm_cover.c: there is no such row
        *) verdict=KILLED && break ;;
        esac
    done
    echo "$verdict $1 $4 $5 $6 $7"
}

if test "${1-}" = --one; then
    shift
    # shellcheck disable=SC2086 # one line, in words
    one $1
    exit 0
fi

test -n "$MUTANT_MACHINES" || {
    echo "mutants.sh: no machines are named" >&2
    exit 1
}
rm -rf "$MUTANT_DIR"
mkdir -p "$MUTANT_DIR" || exit 1
trap 'rm -rf "$MUTANT_DIR"' EXIT
bad=0
looked=0
for word in $MUTANT_MACHINES; do
    path=${word%%:*}
    tests=${word#*:}
    echo "$path" | grep -q -- "$MUTANT_FILTER" || continue
    looked=$((looked + 1))

    name=$(sed -n 's/^#define FSM_NAME "\(.*\)"$/\1/p' \
        "$top_srcdir/$path.c")
    start=$(date +%s)
    timed=
    for t in $(echo "$tests" | tr + ' '); do
        began=$(date +%s)
        if ! "./tests/$t" >"$MUTANT_DIR/log" 2>&1; then
            cat "$MUTANT_DIR/log"
            echo "mutants.sh: tests/$t fails before anything is changed" >&2
            exit 1
        fi
        timed=$timed${timed:+"+"}$t=$(($(date +%s) - began))
    done

    list "$top_srcdir/$path.def" >"$MUTANT_DIR/list"
    <"$MUTANT_DIR/list" \
        sed "s|^|$path $timed $name |" | tr '\n' '\0' |
        xargs -0 -r -n 1 -P "$(nproc 2>/dev/null || echo 1)" \
            sh "$0" --one >"$MUTANT_DIR/results" 2>/dev/null
    while read -r verdict rest; do
        case $verdict in
        KILLED) ;;
        SURVIVED)
            if grep -q "^$rest  " "$known" 2>/dev/null; then
                echo "known     $rest"
            else
                echo "SURVIVED  $rest"
                bad=$((bad + 1))
            fi
            ;;
        *)
            echo "$verdict $rest"
            bad=$((bad + 1))
            ;;
        esac
    done <"$MUTANT_DIR/results"
    n=$(grep -c . "$MUTANT_DIR/results")
    killed=$(grep -c '^KILLED ' "$MUTANT_DIR/results")
    echo "$path: $killed of $n mutants killed, $(($(date +%s) - start)) s"
    if test "$n" = 0 || test "$n" != "$(grep -c . "$MUTANT_DIR/list")"; then
        echo "mutants.sh: $path: some mutants were not tried" >&2
        bad=$((bad + 1))
    fi
done
test $looked -gt 0 && test $bad = 0
