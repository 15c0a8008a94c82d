#!/bin/bash
# OpenSC's p11test (from Debian's source package) on a token with RSA, EC, Edwards and AES keys. Its checks of a
# mechanism's flags, of keys' usage and of signatures are made with OpenSSL inside the program.
. "$(dirname "$0")/../lib.sh"
packages gcc libcmocka-dev libssl-dev dpkg-dev opensc
source=$(debian_source opensc) || unavailable "cannot get the source of opensc"
built=$cache/build/opensc-p11test
if [ ! -x "$built/p11test" ]; then
    mkdir -p "$built"
    printf '#define %s 1\n' ENABLE_OPENSSL HAVE_CONFIG_H >"$built/config.h"
    ( cd "$source" && gcc -w -DENABLE_OPENSSL -I"$built" -Isrc src/tests/p11test/*.c -o "$built/p11test" -lcmocka -ldl -lcrypto ) \
        >"$work/build.log" 2>&1 || { tail -n 20 "$work/build.log"; exit 3; }
fi
start_daemon
token p11test
user="pkcs11-tool --module $module --token-label p11test --login --pin env:PIN"
check "generate rsa:2048" "$user -k --key-type rsa:2048 --id 01 --label rsa --usage-sign --usage-decrypt"
check "generate rsa:3072 for wrapping" "$user -k --key-type rsa:3072 --id 02 --label wrapper --usage-wrap --usage-decrypt"
id=3
for curve in prime256v1 secp384r1 secp521r1; do
    check "generate EC:$curve" "$user -k --key-type EC:$curve --id 0$id --label $curve --usage-sign --usage-derive"
    id=$((id + 1))
done
check "generate AES:32" "$user --keygen --key-type AES:32 --id 08 --label aes --usage-decrypt --usage-wrap --extractable"
timeout 600 "$built/p11test" -m "$module" -s 0 -p "$PIN" -o "$work/p11test.json" >"$work/p11test.log" 2>&1 </dev/null
while read -r outcome test; do
    case $outcome in
    OK) result ok "$test" ;;
    SKIPPED) skip "$test" "by the program itself" ;;
    FAILED) result fail "$test" "$(grep -B 3 -F "[  FAILED  ] $test" "$work/p11test.log" | head -n 8)" ;;
    esac
done < <(sed -n '/^\[==========\] .* run\.$/q; s/^\[ *\(OK\|FAILED\|SKIPPED\) *\] \([a-z_]*\).*/\1 \2/p' "$work/p11test.log")
grep -q 'test(s) run' "$work/p11test.log" || result fail "runs to its end" "$(tail -n 10 "$work/p11test.log")"
