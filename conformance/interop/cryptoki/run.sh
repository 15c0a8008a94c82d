#!/bin/bash
# The `cryptoki` crate's own integration tests, from its source in cargo's registry, at the version that the workspace
# locks. Every test has a process and a daemon of its own: some lock PINs or wait for ever.
. "$(dirname "$0")/../lib.sh"
SO_PIN=abcdef654321
top=$(cd "$interop/../.." && pwd)
cargo=${CARGO:-cargo}
"$cargo" fetch --locked --manifest-path "$top/Cargo.toml" >fetch.log 2>&1
version=$(sed -n '/^name = "cryptoki"$/{n;s/^version = "\(.*\)"$/\1/p}' "$top/Cargo.lock")
source=$(ls -d "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/cryptoki-"$version" 2>/dev/null | head -n 1)
[ -n "$source" ] || unavailable "cargo has no source of cryptoki $version"
cp -r "$source" "$work/cryptoki"
cd "$work/cryptoki" || exit 3
CARGO_TARGET_DIR=$cache/target/cryptoki "$cargo" test --no-run >"$work/build.log" 2>&1 || { tail -n 30 "$work/build.log"; exit 3; }
export TEST_PKCS11_MODULE=$module RUST_BACKTRACE=0
# The suite does not ask what a token offers. A test that failed after the module had refused a function, or the
# mechanism that it is named after, as not offered is skipped by that name: prints it.
not_offered() {
    local calls function
    calls=$(tail -n "+$((before + 1))" "$work/calls" 2>/dev/null)
    function=$(awk '/ = CKR_FUNCTION_NOT_SUPPORTED / { print $2; exit }' <<<"$calls")
    [ -z "$function" ] || { printf '%s\n' "$function"; return; }
    case $1 in ml_dsa | ml_kem) grep -q 'C_GenerateKeyPair = CKR_MECHANISM_INVALID' <<<"$calls" && tr 'a-z_' 'A-Z-' <<<"$1" ;; *) return 1 ;; esac
}
while read -r binary; do
    suite=$(basename "${binary%-*}")
    for test in $("$binary" --list 2>/dev/null | sed -n 's/: test$//p'); do
        start_daemon
        token "Test Token" --profile legacy
        before=$(cat "$work/calls" 2>/dev/null | wc -l)
        if timeout 60 "$binary" --exact "$test" >"$work/test.log" 2>&1; then
            if grep -q '1 ignored' "$work/test.log"; then skip "$suite::$test" "ignored by its authors"; else result ok "$suite::$test"; fi
        elif missing=$(not_offered "$suite"); then
            skip "$suite::$test" "$missing is not offered"
        else
            result fail "$suite::$test" "$(grep -m 1 -A 2 panicked "$work/test.log" || tail -n 3 "$work/test.log")"
        fi
    done
done < <(sed -n 's/^ *Executable tests.*(\(.*\))$/\1/p' "$work/build.log")
