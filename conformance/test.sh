#!/bin/bash
# Runs `cargo test ARGUMENTS` and ends with one line: "N passed, N failed", and ", N skipped" if any were.
set -uo pipefail
# Every test binary of the conformance suite starts a daemon; two tests at a time keep two cores busy.
threads=${TEST_THREADS:-2}
# Instructions are counted of what ships (tests/instructions.rs).
export CLAVIGER_COUNT_INSTRUCTIONS=${CLAVIGER_COUNT_INSTRUCTIONS-1}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

"${CARGO:-cargo}" test "$@" --no-fail-fast -- --test-threads="$threads" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}

awk '
  /^test result:/ {
    for (i = 1; i < NF; i++) {
      if ($(i + 1) ~ /^passed/) passed += $i
      if ($(i + 1) ~ /^failed/) failed += $i
      if ($(i + 1) ~ /^ignored/) skipped += $i
    }
  }
  END {
    printf "%d passed, %d failed", passed, failed
    if (skipped) printf ", %d skipped", skipped
    print ""
  }' "$log"
exit "$status"
