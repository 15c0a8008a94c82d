#!/bin/bash
# Runs other people's programs and test suites against the built module: every conformance/interop/<client>/run.sh,
# or those named as arguments. Ends with a table and one line "N passed, N failed, N skipped", and writes what each
# client was seen to call (functions.py). See README.md.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
release=${CLAVIGER_RELEASE:-$(cd "$here/../.." && pwd)/target/release}
for built in clavigerd claviger libclaviger_pkcs11.so; do
    [ -e "$release/$built" ] || { echo "interop: $release/$built is missing; run \`make build\` first" >&2; exit 1; }
done
INTEROP_RESULTS=$(mktemp -d "${TMPDIR:-/tmp}/claviger-interop-results.XXXXXX")
export INTEROP_RESULTS CLAVIGER_RELEASE=$release
trap 'rm -rf "$INTEROP_RESULTS"' EXIT

# Those that find most come first.
clients=("$@")
[ ${#clients[@]} != 0 ] || clients=(kms-import openssl-engine pkcs11-tool java python-pkcs11 pykcs11 cryptoki softhsm-p11test
    opensc-p11test openssl-provider openssh gnutls nss nginx conformance)
status=0
for client in "${clients[@]}"; do
    [ -e "$here/$client/run.sh" ] || { echo "interop: no client $client" >&2; status=1; continue; }
    printf '\n== %s\n' "$client"
    bash "$here/$client/run.sh" || status=1
    [ -e "$INTEROP_RESULTS/$client" ] || { printf '%s 0 1 0 0\n' "$client" >"$INTEROP_RESULTS/$client"; status=1; }
done

python3 "$here/functions.py" "$INTEROP_RESULTS" || status=1

printf '\n%-18s %7s %7s %7s %7s %8s\n' client checks passed failed waived skipped
for client in "${clients[@]}"; do cat "$INTEROP_RESULTS/$client" 2>/dev/null; done | awk '
  { printf "%-18s %7d %7d %7d %7d %8d\n", $1, $2 + $3 + $4 + $5, $2, $3, $4, $5
    p += $2; f += $3; w += $4; s += $5 }
  END { printf "%-18s %7d %7d %7d %7d %8d\n\n", "all", p + f + w + s, p, f, w, s
        # A waived test is neither passed nor failed; waivers.md says why.
        printf "%d passed, %d failed, %d skipped\n", p, f, s + w }'
exit "$status"
