#!/bin/bash
# Key rings, keys, versions, labels, rotation: the resources of Google's guide, against a daemon of its own.
# RES-01 RES-02 RES-05 RES-06 RES-08 RES-11 RES-12 RES-13 RES-15 ALG-01 ALG-03 ALG-08 ALG-10 STA-05 STA-08 ROT-01 ROT-03 AUD-07 AUD-09
# Usage: kms-resources.sh DIRECTORY-OF-THE-PROGRAMS
set -euo pipefail
programs=${1:-target/release}
home=$(mktemp -d)
"$programs/clavigerd" --dev "$home/keys" > "$home/ready" 2> "$home/log" &
daemon=$!
trap 'kill "$daemon" 2>/dev/null || true; wait "$daemon" 2>/dev/null || true; rm -rf "$home"' EXIT
for _ in $(seq 100); do grep -q ready "$home/ready" && break; sleep 0.1; done

claviger() { "$programs/claviger" --socket "$home/keys/admin.sock" "$@"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
is() { [ "$1" = "$2" ] || fail "$3: $1 instead of $2"; }
refused() { local want=$1 code=0; shift; claviger "$@" > /dev/null 2>&1 || code=$?; is "$code" "$want" "$*"; }

# The same ring id in two locations is two rings; in one location it is taken.
claviger keyrings create payroll --location eu > /dev/null
claviger keyrings create payroll > /dev/null
refused 5 keyrings create payroll
is "$(claviger keyrings list --uri | wc -l)" 2 "rings"
is "$(claviger keyrings describe payroll --location eu --format 'value(name)')" \
  projects/local/locations/eu/keyRings/payroll "full name"

# A purpose is required, belongs to the algorithm, and stays; ids may not be taken twice.
refused 2 keys create nothing --keyring payroll
refused 2 keys create odd --keyring payroll --purpose mac --default-algorithm ec-sign-p256-sha256
claviger keys create claims --keyring payroll --purpose encryption --labels env=prod,team=insurance > /dev/null
refused 5 keys create claims --keyring payroll --purpose encryption
claviger keys create contracts --keyring payroll --purpose asymmetric-signing \
  --default-algorithm ec-sign-p256-sha256 --protection-level hsm > /dev/null
is "$(claviger keys describe contracts --keyring payroll --format 'value(versionTemplate.protectionLevel,purpose)')" \
  "$(printf 'HSM\tASYMMETRIC_SIGN')" "level and purpose"
claviger keys versions list --keyring payroll --key contracts | grep -q 'Enabled' || fail "words in the table"

# An empty key does nothing; versions count from 1.
claviger keys create empty --keyring payroll --purpose encryption --skip-initial-version-creation > /dev/null
echo text > "$home/text"
refused 7 encrypt --keyring payroll --key empty --plaintext-file "$home/text"
claviger keys versions create --keyring payroll --key empty > /dev/null
claviger encrypt --keyring payroll --key empty --plaintext-file "$home/text" --format none
claviger keys versions create --keyring payroll --key empty > /dev/null
is "$(claviger keys describe empty --keyring payroll --format 'value(primary.name)' | sed 's#.*/##')" 1 "primary"
claviger keys set-primary-version empty --keyring payroll --version 2 > /dev/null
is "$(claviger keys describe empty --keyring payroll --format 'value(primary.name)' | sed 's#.*/##')" 2 "new primary"
refused 7 keys set-primary-version contracts --keyring payroll --version 1

# Disabling a key acts on every version; several keys are described at once.
claviger keys disable empty --keyring payroll --yes > /dev/null
is "$(claviger keys versions list --keyring payroll --key empty --filter state=DISABLED --uri | wc -l)" 2 "disabled"
is "$(claviger keys describe claims contracts --keyring payroll --format 'value(name)' | wc -l)" 2 "describe two"
is "$(claviger keys list --keyring payroll --filter 'labels.team=insurance' --format 'value(name)' | sed 's#.*/##')" \
  claims "labels"
claviger status > /dev/null
echo "resources: all steps held"
