#!/bin/sh
# mutants.sh - is every row of every table held in place by a test?
#
# Changes one row at a time, its next state or its action, compiles the
# machine, links it into the tests that are named for it and runs them: one of
# them must fail.  A row whose action is `impossible` is left alone.
#
# Run by make check-mutants, in the build directory, with
#   MUTANT_MACHINES  words PATH:TEST[+TEST...], such as
#                    src/reactor/timer:check_timer (for timer.c, timer.def)
#   MUTANT_COMPILE   the compiler with all flags but -c
#   MUTANTS          one (default): one other state and one other action a row
#                    all: every other state and action a row
#   MUTANT_FILTER    only machines whose PATH matches this pattern of grep
# Survivors that cannot be told from the original are listed in
# tests/mutants.known, a line each:  PATH STATE EVENT goto|do NEW  why
set -u
: "${top_srcdir=.}" "${MAKE=make}" "${MUTANTS=one}" "${MUTANT_FILTER=.}"
: "${MUTANT_MACHINES=}" "${MUTANT_COMPILE=cc}" "${MUTANT_DIR=mutants.tmp}"
CK_FORK=no
export CK_FORK MUTANT_COMPILE MUTANT_DIR top_srcdir
known=$top_srcdir/tests/mutants.known

# list DEF: lines "LINE STATE EVENT goto|do NEW"
list()
{
    awk -v all="$MUTANTS" '
    BEGIN { rows = n_states = n_acts = 0 }
    function trim(s) { gsub(/^[ \t]+|[ \t]+$/, "", s); return s }
    function mutate(kind, pool, n, old,    i, k) {
        for (i = 0; i < n; i++) {
            k = (rows + i) % n
            if (pool[k] == old) continue
            print FNR_[r], state[r], event[r], kind, pool[k]
            if (all != "all") return
        }
    }
    /^(STATE|FINAL)\(/ {
        split($0, f, /[()]/)
        states[n_states++] = trim(f[2])
    }
    /^ROW\(/ {
        split(substr($0, 5), f, ",")
        FNR_[rows] = FNR
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

# build PATH TEST OUT [DEF]: TEST with PATH.c compiled anew, into OUT
build()
{
    dir=$(dirname "$3")
    mkdir -p "$dir" || return 2
    if test $# = 4; then
        def=$dir/${1#*/}.def # as FSM_DEF names it: without src/ or protocols/
        mkdir -p "$(dirname "$def")" && cp "$4" "$def" || return 2
    fi
    # shellcheck disable=SC2086 # lists of words
    test -e "$dir/machine.o" ||
        $MUTANT_COMPILE -w -iquote "$dir" -I"$dir" -c "$top_srcdir/$1.c" \
            -o "$dir/machine.o" || return 2
    link=$(sed "s| -o [^ ]*| -o $3|
        s| \([^ ]*libtested\.a\)| $dir/machine.o \1|" "$MUTANT_DIR/link.$2")
    sh -c "$link"
}

# one PATH TESTS LIMIT LINE STATE EVENT KIND NEW: prints KILLED, SURVIVED or
# BROKEN, and what it was about
one()
{
    dir=$MUTANT_DIR/$$
    mkdir -p "$dir"
    awk -v line="$4" -v kind="$7" -v new="$8" '
    FNR == line {
        n = split($0, f, ",")
        f[kind == "goto" ? 3 : 4] = " " new
        out = f[1]
        for (i = 2; i <= n; i++) out = out "," f[i]
        $0 = out
    }
    { print }' "$top_srcdir/$1.def" >"$dir/mutant"
    verdict=SURVIVED
    for t in $(echo "$2" | tr + ' '); do
        if ! build "$1" "$t" "$dir/test" "$dir/mutant" >"$dir/log" 2>&1; then
            verdict=BROKEN
            cat "$dir/log"
            break
        fi
        if ! timeout -k 2 "$3" "$dir/test" >/dev/null 2>&1; then
            verdict=KILLED
            break
        fi
    done
    rm -rf "$dir"
    echo "$verdict $1 $5 $6 $7 $8"
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

    # How each test is linked, and that it passes with the table as it is.
    start=$(date +%s)
    took=0
    for t in $(echo "$tests" | tr + ' '); do
        rm -f "tests/$t"
        $MAKE V=1 "tests/$t" 2>&1 | sed -n 's/^libtool: link: //p' |
            tail -n 1 >"$MUTANT_DIR/link.$t"
        mkdir -p "$MUTANT_DIR/control"
        rm -f "$MUTANT_DIR"/control/*
        before=$(date +%s)
        if ! build "$path" "$t" "$MUTANT_DIR/control/$t" ||
            ! "$MUTANT_DIR/control/$t" >/dev/null; then
            echo "mutants.sh: tests/$t fails before anything is changed" >&2
            exit 1
        fi
        took=$((took + $(date +%s) - before))
    done
    limit=$((5 + 3 * took)) # a mutant that hangs is as good as killed

    list "$top_srcdir/$path.def" >"$MUTANT_DIR/list"
    <"$MUTANT_DIR/list" \
        sed "s|^|$path $tests $limit |" | tr '\n' '\0' |
        xargs -0 -r -n 1 -P "$(nproc 2>/dev/null || echo 1)" \
            sh "$0" --one >"$MUTANT_DIR/results"
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
