#!/bin/bash
# Claviger's own conformance tests, chapter by chapter, so that the table of functions and clients has them too. They
# start their own daemons.
. "$(dirname "$0")/../lib.sh"
top=$(cd "$interop/../.." && pwd)
chapters=(general slot_token session object encrypt decrypt digest sign verify dual key random fork threads negative cache)
"${CARGO:-cargo}" test --release --locked --workspace --no-fail-fast --manifest-path "$top/Cargo.toml" \
    "${chapters[@]/#/--test=}" >"$work/tests.log" 2>&1 </dev/null
while read -r test outcome; do
    case $outcome in
    ok) result ok "$test" ;;
    ignored) skip "$test" "ignored" ;;
    *) result fail "$test" "$(grep -m 1 -A 6 "$(basename "$test")' .*panicked" "$work/tests.log")" ;;
    esac
done < <(awk '/^ +Running tests\// { sub(/.*tests\//, ""); sub(/(\/main)?\.rs .*/, ""); chapter = $0 }
    /^test .* \.\.\. / { print chapter "::" $2, $4 }' "$work/tests.log")
grep -q '^test result' "$work/tests.log" || result fail "runs" "$(tail -n 10 "$work/tests.log")"
