#!/bin/bash
# Prints which test proves each feature of features.tsv (id, text, why it is open). A test proves the features whose
# ids stand in its first lines: `// DST-09`. With -c only the counts.
set -euo pipefail
cd "$(dirname "$0")/.."
found=$(mktemp)
trap 'rm -f "$found"' EXIT

# The test that an id belongs to is the nearest function above it, or the script.
find daemon/src admin-cli/src protocol/src conformance/tests conformance/interop \( -name '*.rs' -o -name '*.sh' \) 2>/dev/null |
  sort | xargs awk '
    FNR == 1 { name = FILENAME; sub(/.*\//, "", name); pending = "" }
    /fn [a-z0-9_]+\(/ {
      match($0, /fn [a-z0-9_]+/)
      name = substr($0, RSTART + 3, RLENGTH - 3)
      count = split(pending, ids, " ")
      for (i = 1; i <= count; i++) print ids[i] "\t" name "\t" FILENAME
      pending = ""
    }
    /^[ \t]*(\/\/|#) ([A-Z][A-Z][A-Z]-[0-9][0-9] ?)+$/ {
      line = $0
      sub(/^[ \t]*(\/\/|#) /, "", line)
      count = split(line, ids, " ")
      # Outside of a function it belongs to the next one.
      if ($0 ~ /^ +(\/\/) / && name != "") { for (i = 1; i <= count; i++) print ids[i] "\t" name "\t" FILENAME }
      else if (FILENAME ~ /\.sh$/) { for (i = 1; i <= count; i++) print ids[i] "\t" name "\t" FILENAME }
      else pending = pending " " line
    }' > "$found"

awk -F '\t' -v counts="${1:-}" '
  NR == FNR { tests[$1] = tests[$1] (tests[$1] == "" ? "" : ", ") $2; next }
  {
    total++
    if ($1 in tests) { covered++; said = tests[$1] } else { said = "OPEN: " ($3 == "" ? "no test names it yet" : $3) }
    if (counts != "-c") printf "%s\t%s\t%s\n", $1, $2, said
  }
  END { printf "%d of %d features are proved by a named test, %d are open\n", covered, total, total - covered }
' "$found" conformance/features.tsv
