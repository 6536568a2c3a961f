# sonicio.m4 - find sonicio in a configure script                -*- Autoconf -*-
#
# SONICIO_CHECK([MINIMUM-VERSION], [IF-FOUND], [IF-NOT-FOUND])
#
# Sets SONICIO_CFLAGS and SONICIO_LIBS with pkg-config and checks that a
# program links with them.  Without IF-NOT-FOUND, configure stops.
#
# Copyright (c) 2026 The sonicio authors
# SPDX-License-Identifier: MIT

#serial 1
AC_DEFUN([SONICIO_CHECK],
[AC_REQUIRE([PKG_PROG_PKG_CONFIG])dnl
PKG_CHECK_MODULES([SONICIO], [sonicio >= m4_default([$1], [0.1])],
    [sonicio_saved_CPPFLAGS=$CPPFLAGS
    sonicio_saved_LIBS=$LIBS
    CPPFLAGS="$CPPFLAGS $SONICIO_CFLAGS"
    LIBS="$SONICIO_LIBS $LIBS"
    AC_MSG_CHECKING([whether a program links with sonicio])
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[@%:@include <sonicio/api.h>]],
        [[return sonic_version() == 0;]])],
        [sonicio_links=yes], [sonicio_links=no])
    AC_MSG_RESULT([$sonicio_links])
    CPPFLAGS=$sonicio_saved_CPPFLAGS
    LIBS=$sonicio_saved_LIBS],
    [sonicio_links=no])
AS_IF([test "x$sonicio_links" = xyes], [$2],
    [m4_default([$3], [AC_MSG_ERROR([sonicio m4_default([$1], [0.1]) or newer ]dnl
[is needed])])])
])
