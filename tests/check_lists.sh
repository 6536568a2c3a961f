#!/bin/sh
# Every source, header, table, test, example and manual page is named in
# Makefile.am: what is not listed is neither built nor distributed.
set -u
cd "${top_srcdir:-.}" || exit 1

# In a clone only what git knows counts: the rest is somebody's work in hand.
if test -e .git && command -v git >/dev/null && git ls-files >/dev/null 2>&1
then
    files=$(git ls-files src include protocols tests tools examples doc m4)
else
    files=$(find src include protocols tests tools examples doc -type f)
fi

bad=0
seen=0

# What .gitignore names is made, not kept.
if test -e .git && command -v git >/dev/null; then
    for f in $(git ls-files -ci --exclude-standard 2>/dev/null); do
        echo "committed, though .gitignore names it: $f"
        bad=$((bad + 1))
    done
fi

for f in $files; do
    case $f in
    tests/*.[ch] | tests/*.sh | tests/*.py) ;;
    tests/*) continue ;;
    m4/ax_*) continue ;; # aclocal sees to them
    *.[ch] | *.def | *.map | *.m4 | doc/*.[1-9]) ;;
    *) continue ;;
    esac
    seen=$((seen + 1))
    name=$f
    case $f in
    tests/*.c | examples/*.c) name=${f%.c} ;; # automake's default source
    esac
    if ! grep -qE "(^|[ =/])$name(\.c)?([ \\\\]|\$)" Makefile.am; then
        echo "not in Makefile.am: $f"
        bad=$((bad + 1))
    fi
done
echo "$seen files looked at, $bad wrong"
test $seen -gt 0 && test $bad = 0
