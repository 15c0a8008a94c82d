#!/bin/bash
# SoftHSM2's p11test (from Debian's source package), built to load the module at run time, on a token of profile legacy.
. "$(dirname "$0")/../lib.sh"
packages g++ libcppunit-dev libssl-dev dpkg-dev
source=$(debian_source softhsm2) || unavailable "cannot get the source of softhsm2"
built=$cache/build/softhsm-p11test
if [ ! -x "$built/p11test" ] || [ "$interop/softhsm-p11test/main.cpp" -nt "$built/p11test" ]; then
    mkdir -p "$built"
    # What SoftHSM2's configure would find; GOST is left out, as in Debian's build.
    printf '#define %s 1\n' HAVE_PTHREAD_H WITH_ECC WITH_EDDSA HAVE_AES_KEY_WRAP HAVE_AES_KEY_WRAP_PAD WITH_RAW_PSS WITH_AES_GCM >"$built/config.h"
    ( cd "$source/src/lib/test" && tests=$(ls ./*.cpp | grep -v p11test.cpp) &&
        g++ -w '-DP11M=getenv("P11M_MODULE")' -include cstdlib -I"$built" -I. -I.. -I../common -I../pkcs11 $tests \
            ../common/osmutex.cpp ../common/log.cpp "$interop/softhsm-p11test/main.cpp" -o "$built/p11test" -lcppunit -ldl -lpthread -lcrypto ) \
        >"$work/build.log" 2>&1 || { tail -n 20 "$work/build.log"; exit 3; }
fi
export P11M_MODULE=$module
"$built/p11test" | while read -r test; do printf '%s\n' "$test"; done >"$work/tests"
start_daemon
token token1 --profile legacy
# The same name stands twice for tests with parameters; it is run once with all of them.
while read -r test; do
    if timeout 120 "$built/p11test" "$test" >"$work/test.log" 2>&1 </dev/null; then
        result ok "$test"
    else
        result fail "$test" "$(tail -n 6 "$work/test.log")"
    fi
done < <(awk '!seen[$0]++' "$work/tests")
