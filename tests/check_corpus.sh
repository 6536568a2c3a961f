#!/bin/sh
# Every fuzz target digests its corpus: tests/fuzz/NAME reads the files in
# tests/fuzz/corpus/NAME.  A target without a corpus is a failure.
set -u
: "${FUZZ_PROGRAMS=}" "${top_srcdir=.}" "${top_builddir=.}"
if test -z "$FUZZ_PROGRAMS"; then
    echo "skipped: no fuzz targets"
    exit 77
fi
if test "${FUZZING-no}" = yes; then
    replay=-runs=0 # libFuzzer's own way
else
    replay=
fi

bad=0
for target in $FUZZ_PROGRAMS; do
    corpus=$top_srcdir/tests/fuzz/corpus/${target##*/}
    if ! test -d "$corpus"; then
        echo "no corpus: $corpus"
        bad=1
    elif ! "$top_builddir/$target" $replay "$corpus" >corpus.out.$$ 2>&1; then
        echo "$target failed; its last lines:"
        tail -n 40 corpus.out.$$
        bad=1
    else
        echo "$target: $(tail -n 1 corpus.out.$$)"
    fi
    rm -f corpus.out.$$
done
exit $bad
