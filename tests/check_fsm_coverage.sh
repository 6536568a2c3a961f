#!/bin/sh
# The unit tests, all together, take every cell of every table that is not
# marked impossible, and none that is.  Runs after them: tests/limit.sh has
# them write what they did to tests/NAME.cover.  What is excused, and why,
# stands in tests/fsm_uncovered.list.
set -u
: "${top_srcdir=.}" "${top_builddir=.}" "${UNIT_TESTS=}"
list=$top_srcdir/tests/fsm_uncovered.list

files=
for t in $UNIT_TESTS; do
    # A test that runs none of the machines leaves no file; one that has not
    # run at all leaves no log.
    if ! test -f "$top_builddir/$t.log"; then
        echo "skipped: $t has not run"
        exit 77
    fi
    test -f "$top_builddir/$t.cover" && files="$files $top_builddir/$t.cover"
done
if test -z "$files"; then
    echo "no test has counted a cell"
    exit 1
fi

# shellcheck disable=SC2086 # a list of names without spaces
awk -F '\t' '
FILENAME == list {
    if ($0 !~ /^#/ && split($0, w, / +/) > 3)
        excused[w[1], w[2], w[3]] = FNR
    next
}
NF != 5 { print FILENAME ":" FNR ": not a count"; bad++ }
{
    cell = $1 SUBSEP $2 SUBSEP $3
    if (!(cell in count))
        order[++n] = cell
    count[cell] += $5
    action[cell] = $4
    machines[$1] = 1
}
function excuse(machine, state, event)
{
    if ((machine, state, event) in excused) {
        used[machine, state, event] = 1
        return 1
    }
    return 0
}
END {
    for (i = 1; i <= n; i++) {
        cell = order[i]
        split(cell, w, SUBSEP)
        what = w[1] ": " w[2] " on " w[3]
        if (action[cell] == "impossible") {
            if (count[cell] > 0) {
                print what ": impossible, and taken"
                bad++
            }
        } else if (count[cell] > 0) {
            taken++
        } else if (excuse(w[1], w[2], w[3]) || excuse(w[1], w[2], "*") ||
                   excuse(w[1], "*", "*")) {
            spared++
        } else {
            print what ": never taken"
            bad++
        }
    }
    for (e in excused)
        if (!(e in used))
            print list ":" excused[e] ": not needed any more"
    for (m in machines)
        seen++
    print seen " machines, " n " cells: " taken + 0 " taken, " spared + 0 \
        " excused, " bad + 0 " wrong"
    exit bad > 0 || taken == 0
}' list="$list" "$list" $files
