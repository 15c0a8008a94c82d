#!/bin/bash
# Key rings, keys, versions, labels, rotation: the resources of Google's guide.
# RES-01 RES-02 RES-03 RES-05 RES-06 RES-07 RES-08 RES-09 RES-11 RES-12 RES-13 RES-15 RES-20 ALG-01 ALG-02 ALG-03 ALG-04
# ALG-05 ALG-06 ALG-07 ALG-08 ALG-10 NAM-01 STA-01 STA-02 STA-03 STA-04 STA-05 STA-08 ROT-01 ROT-02 ROT-03 ROT-04 ROT-05
# CRY-05 AUD-07 AUD-09 AUD-10
source "$(dirname "$0")/guide.lib.sh"
start_daemon
primary() { value primary.name keys describe "$1" --keyring payroll | sed 's#.*/##'; }

# The same ring id in two locations is two rings; in one location it is taken.
does keyrings create payroll --location eu
does keyrings create payroll
refused 5 keyrings create payroll
is "$(claviger keyrings list --uri | count)" 2 "rings"
is "$(value name keyrings describe payroll --location eu)" projects/local/locations/eu/keyRings/payroll "full name"
refused 2 keyrings create 'no spaces'
refused 2 keyrings create "$(printf 'r%.0s' $(seq 64))"

# A purpose is required, belongs to the algorithm, and stays; ids may not be taken twice.
refused 2 keys create nothing --keyring payroll
refused 2 keys create odd --keyring payroll --purpose mac --default-algorithm ec-sign-p256-sha256
does keys create claims --keyring payroll --purpose encryption --labels env=prod,team=insurance,level=top-secret
refused 5 keys create claims --keyring payroll --purpose encryption
does keys create contracts --keyring payroll --purpose asymmetric-signing \
    --default-algorithm ec-sign-p256-sha256 --protection-level hsm
is "$(value versionTemplate.protectionLevel,purpose keys describe contracts --keyring payroll)" \
    "$(printf 'HSM\tASYMMETRIC_SIGN')" "level and purpose"
claviger keys versions list --keyring payroll --key contracts > table
grep -q 'Enabled' table && grep -qi 'hsm' table || fail "words in the table"
refused 2 keys update claims --keyring payroll --purpose mac
refused 7 asymmetric-sign --keyring payroll --key claims --version 1 --input-file /dev/null
# Every resource has a full name, which stands for it anywhere.
name=$(value name keys describe claims --keyring payroll)
is "$name" projects/local/locations/global/keyRings/payroll/cryptoKeys/claims "name"
does keys describe "$name"
does keys versions describe "$name/cryptoKeyVersions/1" --key "$name"
refused 2 keys describe "$name/"
refused 2 keys describe "keyRings/payroll/cryptoKeys/claims"

# An empty key does nothing; versions count from 1.
does keys create empty --keyring payroll --purpose encryption --skip-initial-version-creation
echo text > text
refused 7 encrypt --keyring payroll --key empty --plaintext-file text
does keys versions create --keyring payroll --key empty
does encrypt --keyring payroll --key empty --plaintext-file text --ciphertext-file one
does encrypt --keyring payroll --key empty --plaintext-file text --ciphertext-file other
! cmp -s one other || fail "the same text twice gives the same ciphertext"
does keys versions create --keyring payroll --key empty
is "$(claviger keys versions list --keyring payroll --key empty --uri | sed 's#.*/##' | tr '\n' ' ')" "1 2 " "versions"

# One version encrypts; all that are enabled decrypt, and may be named to encrypt.
is "$(primary empty)" 1 "primary"
does keys set-primary-version empty --keyring payroll --version 2
is "$(primary empty)" 2 "new primary"
does decrypt --ciphertext-file one
does encrypt --keyring payroll --key empty --version 1 --plaintext-file text
refused 7 keys set-primary-version contracts --keyring payroll --version 1
refused 2 asymmetric-sign --keyring payroll --key contracts --input-file text
does keys rotate empty --keyring payroll
is "$(primary empty)" 3 "rotated"
does keys versions disable 1 --keyring payroll --key empty
refused 7 decrypt --ciphertext-file one
does encrypt --keyring payroll --key empty --plaintext-file text
does keys versions enable 1 --keyring payroll --key empty

# A new version has the template's algorithm, which may change within the purpose.
does keys update contracts --keyring payroll --default-algorithm ec-sign-p384-sha384
refused 2 keys update contracts --keyring payroll --default-algorithm hmac-sha256
does keys versions create --keyring payroll --key contracts
is "$(claviger keys versions list --keyring payroll --key contracts --format 'value(algorithm)' | tr '\n' ' ')" \
    "EC_SIGN_P256_SHA256 EC_SIGN_P384_SHA384 " "algorithms"

# Disabling a key acts on every version; several keys are described at once.
does keys disable empty --keyring payroll --yes
is "$(claviger keys versions list --keyring payroll --key empty --filter state=DISABLED --uri | count)" 3 "disabled"
is "$(claviger keys describe claims contracts --keyring payroll --format 'value(name)' | count)" 2 "describe two"
is "$(claviger keys list --keyring payroll --filter 'labels.team=insurance' --format 'value(name)' | sed 's#.*/##')" \
    claims "labels"
is "$(claviger keys list --keyring payroll --filter 'labels.level:secret' --uri | count)" 1 "part of a label"

# Nothing is deleted or moved; help is everywhere.
refused 2 keyrings delete payroll
refused 2 keys delete claims --keyring payroll
does keys create --help
does status
echo "resources: all steps held"
