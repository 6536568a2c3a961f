#!/bin/sh
# limit.sh PROGRAM [ARG...] - run a test; end it after TEST_SECONDS
#
# Also keeps libcheck from ending a single case long before that: its own
# default of 4 seconds is short under valgrind and emulators.
: "${TEST_SECONDS:=300}"
: "${CK_DEFAULT_TIMEOUT:=$TEST_SECONDS}"
export CK_DEFAULT_TIMEOUT

# Where the library's machines write which cells they took; see
# tests/check_fsm_coverage.sh.  Counts of an earlier run do not stay.
for program; do :; done # the last argument
case $program in
*.sh) ;;
*)
    SONIC_FSM_COVER_FILE=$program.cover
    export SONIC_FSM_COVER_FILE
    rm -f "$SONIC_FSM_COVER_FILE"
    ;;
esac

if ! command -v timeout >/dev/null; then
    exec "$@"
fi
timeout -k 10 "$TEST_SECONDS" "$@"
status=$?
if test $status = 124 || test $status = 137; then
    echo "limit.sh: no end after $TEST_SECONDS seconds: $*"
    exit 1
fi
exit $status
