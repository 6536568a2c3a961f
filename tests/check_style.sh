#!/bin/sh
# Form: .clang-format accepts every C file, no line is over 80 columns (120 in
# a table, for the reason ends its row), no file over 600 lines, no function
# over 70.
set -u
cd "${top_srcdir:-.}" || exit 1

max_columns=80
max_row=120
max_file=600
max_function=70

if test -e .git && command -v git >/dev/null && git ls-files >/dev/null 2>&1
then
    files=$(git ls-files '*.c' '*.h' '*.def')
else
    files=$(find src include protocols tests tools examples \
        -name '*.[ch]' -o -name '*.def')
fi
test -n "$files" || exit 1
code=$(echo "$files" | grep -v '\.def$')
bad=0

# shellcheck disable=SC2086 # lists of names without spaces, here and below
LC_ALL=C.UTF-8 awk -v columns=$max_columns -v row=$max_row -v lines=$max_file '
length($0) > (FILENAME ~ /\.def$/ ? row : columns) {
    print FILENAME ":" FNR ": " length($0) " columns"; n++
}
/\t/ { print FILENAME ":" FNR ": a tab"; n++ }
/[ \t]$/ { print FILENAME ":" FNR ": space at the end"; n++ }
FNR == lines + 1 { print FILENAME ": over " lines " lines"; n++ }
END { exit n > 0 }' $files || bad=1

skipped=
if ctags --version 2>/dev/null | grep -q 'Universal Ctags'; then
    # shellcheck disable=SC2086
    ctags -x --languages=C --langmap=C:.c.h --kinds-C=f --fields=+ne \
        --_xformat='%N %F %n %e' $code | awk -v max=$max_function '
    $4 != "" && $4 - $3 + 1 > max {
        print $2 ":" $3 ": " $1 " is " $4 - $3 + 1 " lines long"; n++
    }
    END { exit n > 0 }' || bad=1
else
    skipped="no universal-ctags: lengths of functions not looked at"
fi

formatter=
for name in clang-format-14 clang-format; do
    if $name --version 2>/dev/null | grep -q 'version 14\.'; then
        formatter=$name
        break
    fi
done
if test -n "$formatter"; then
    # shellcheck disable=SC2086
    $formatter --dry-run -Werror $code || bad=1
else
    skipped="${skipped:+$skipped; }no clang-format 14: format not looked at"
fi

test $bad = 0 || exit 1
echo "$(echo "$files" | wc -l) files in good form"
if test -n "$skipped"; then
    echo "skipped: $skipped"
    exit 77
fi
