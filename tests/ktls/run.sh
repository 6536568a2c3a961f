#!/bin/sh
# Tests of kTLS on a kernel that has it: Debian's, in a virtual machine.
#
# usage: run.sh PROGRAM...   of the build directory; make check-ktls runs it
# Scripts among them are run too; the program sonicio is there for them.
#
# The kernel package is fetched with apt-get (or is the file that KTLS_KERNEL
# names) and unpacked, never installed.  The machine gets its kernel, an
# initial file system of busybox, the programs, their libraries and the modules
# for tls, 512 MB, no disk and no network but lo.  It is emulated, which takes a
# minute or two; KTLS_ACCEL=kvm has it run by the processor.
#
# Exit status: 0 passed, 1 failed, 77 the machine cannot be had, and why.
set -u
here=$(dirname "$0")
limit=${KTLS_SECONDS:-900}
package=${KTLS_PACKAGE:-linux-image-cloud-amd64}
work=$PWD/ktls.tmp
root=$work/root

skip()
{
    echo "SKIP kTLS: $1"
    exit 77
}

fail()
{
    echo "FAIL kTLS: $1"
    exit 1
}

need()
{
    command -v "$1" >/dev/null || skip "$1 is not here (apt-get install $2)"
}

test "$(uname -m)" = x86_64 || skip "this is no x86_64"
need qemu-system-x86_64 qemu-system-x86
need busybox busybox-static
need cpio cpio
need openssl openssl
need dpkg-deb dpkg
mkdir -p "$work" || exit 1

# ---- the kernel ----------------------------------------------------------

# The package that a package like linux-image-amd64 stands for.
fetch()
{
    real=$(apt-cache depends "$package" 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
    test -n "$real" || skip "apt-cache knows no $package"
    (cd "$work" && apt-get download "$real" >apt.log 2>&1) ||
        skip "$real cannot be fetched: $(tail -n 1 "$work/apt.log")"
}

if test -z "${KTLS_KERNEL-}"; then
    ls "$work"/linux-image-*.deb >/dev/null 2>&1 || fetch
    for KTLS_KERNEL in "$work"/linux-image-*.deb; do :; done
fi
kernel=$work/kernel
test -d "$kernel" || {
    dpkg-deb -x "$KTLS_KERNEL" "$kernel.part" &&
        mv "$kernel.part" "$kernel"
} || fail "$KTLS_KERNEL cannot be unpacked"
vmlinuz=$(ls "$kernel"/boot/vmlinuz-*) || fail "no kernel in $KTLS_KERNEL"
release=${vmlinuz##*/vmlinuz-}
modules=lib/modules/$release

# ---- the file system -----------------------------------------------------

# library FILE: where the dynamic linker looks for it
library()
{
    case $1 in
    */ld-linux*) to=$root$1 ;; # by the path that programs know
    *) to=$root/lib/${1##*/} ;;
    esac
    test -e "$to" || { mkdir -p "${to%/*}" && cp -L "$1" "$to"; }
}

rm -rf "$root"
mkdir -p "$root/bin" "$root/sbin" "$root/proc" "$root/sys" "$root/dev" \
    "$root/tmp" "$root/tests" "$root/$modules/kernel/net" || exit 1
cp "$(command -v busybox)" "$root/bin/busybox"
"$root/bin/busybox" true || fail "busybox does not run"
! ldd "$root/bin/busybox" >/dev/null 2>&1 ||
    skip "busybox is not static (apt-get install busybox-static)"
for applet in sh modprobe; do
    ln -s /bin/busybox "$root/bin/$applet"
done
ln -s /bin/busybox "$root/sbin/modprobe"
for part in net/tls crypto lib/crypto arch/x86/crypto; do
    test -d "$kernel/$modules/kernel/$part" || continue
    mkdir -p "$root/$modules/kernel/${part%/*}"
    cp -r "$kernel/$modules/kernel/$part" "$root/$modules/kernel/${part%/*}/"
done
cp "$kernel/$modules"/modules.builtin* "$kernel/$modules/modules.order" \
    "$root/$modules/" 2>/dev/null
busybox depmod -b "$root" "$release" || fail "depmod"

for program; do
    case $program in
    *.sh)
        cp "$program" "$root/tests/" && continue
        exit 1
        ;;
    */sonicio) into=bin ;;
    *) into=tests ;;
    esac
    # What libtool makes of a program runs the one in .libs.
    real=${program%/*}/.libs/${program##*/}
    test -x "$real" || real=$program
    test -x "$real" || fail "$program was not built"
    cp "$real" "$root/$into/${program##*/}"
    LD_LIBRARY_PATH=${LD_LIBRARY_PATH-}:$PWD/.libs ldd "$real" |
        sed -n 's/.* => \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) .*/\1/p' \
            >"$work/libraries"
    while read -r file; do
        library "$file" || exit 1
    done <"$work/libraries"
done

cp "$here/init" "$root/init" && chmod +x "$root/init" || exit 1
# For echo.sh.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$root/tests/key.pem" -out "$root/tests/cert.pem" -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    2>"$work/openssl.log" || fail "openssl: $(tail -n 1 "$work/openssl.log")"
(cd "$root" && find . | cpio -o -H newc -R 0:0 2>/dev/null | gzip -1) \
    >"$work/initrd" || fail "cpio"

# ---- the machine ---------------------------------------------------------

timeout -k 10 "$limit" qemu-system-x86_64 -accel "${KTLS_ACCEL:-tcg}" -cpu max \
    -m 512 -nodefaults -no-reboot -display none -serial stdio \
    -kernel "$vmlinuz" -initrd "$work/initrd" \
    -append "console=ttyS0 quiet loglevel=4 panic=-1" \
    </dev/null >"$work/console" 2>"$work/qemu.log"
status=$?
tr -d '\r' <"$work/console" | sed -n 's/^KTLS: //p'
if grep -q '^KTLS: all passed' "$work/console"; then
    exit 0
fi
test $status != 0 && tail -n 3 "$work/qemu.log"
tail -n 40 "$work/console"
fail "see $work/console"
