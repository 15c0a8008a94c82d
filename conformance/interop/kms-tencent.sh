#!/bin/bash
# What Tencent Cloud's guide tells of keys, step by step in claviger's words: making, enabling, editing, deleting in
# 7 to 30 days, rotation, import, the online tool, white-box keys.
# RES-18 RES-19 RES-20 RES-21 ALG-10 ALG-17 ALG-18 NAM-01 NAM-02 NAM-04 NAM-05 STA-09 STA-10 STA-11 DST-05 DST-07
# DST-10 DST-19 ROT-06 ROT-08 ROT-11 IMP-26 IMP-27 CRY-01 CRY-02 CRY-03 CRY-04 CRY-06 CRY-07 CRY-08 CRY-09 CRY-10
# CRY-12 USE-05 AUD-02 AUD-04 AUD-07 AUD-08 AUD-09
source "$(dirname "$0")/guide.lib.sh"
# There a key must be disabled before it is deleted, and waits at least 7 days.
start_daemon 'require_disable_before_destroy = true' 'min_destroy_scheduled_duration = "7d"' \
    'max_destroy_scheduled_duration = "30d"' 'locations = ["ap-guangzhou", "ap-beijing"]'

# Regions, the service's state, its algorithms.
is "$(claviger locations list --format 'value(locationId)' | tr '\n' ' ')" "ap-beijing ap-guangzhou " "regions"
does status
says uptimeSeconds
claviger algorithms list --purpose encryption --format 'value(name)' | grep -qx GOOGLE_SYMMETRIC_ENCRYPTION || fail algorithms
does keyrings create ring

# Creating a key: its name and purpose are required.
refused 2 keys create nothing --keyring ring
refused 2 keys create 'white space' --keyring ring --purpose ENCRYPT_DECRYPT
refused 2 keys create KMS-mine --keyring ring --purpose ENCRYPT_DECRYPT
does keys create cmk --keyring ring --purpose ENCRYPT_DECRYPT --description 'payroll data' --tags team=pay
refused 5 keys create cmk --keyring ring --purpose ENCRYPT_DECRYPT
does keys create ecc --keyring ring --purpose ASYMMETRIC_SIGN_VERIFY_ECC
does keys create rsa --keyring ring --purpose ASYMMETRIC_DECRYPT_RSA_2048
is "$(value versionTemplate.algorithm keys describe ecc --keyring ring)" EC_SIGN_P256_SHA256 "an ECC key"
refused 4 keys create cmk --keyring ring --purpose ENCRYPT_DECRYPT --location ap-beijing
does keyrings create ring --location ap-beijing
does keys create cmk --keyring ring --purpose ENCRYPT_DECRYPT --location ap-beijing
is "$(claviger keys list --keyring ring --location ap-beijing --format 'value(name)' | count)" 1 "each region has its keys"

# Looking at keys: one, several, by part of the name; the newest first in a table.
is "$(value description keys describe cmk --keyring ring)" "payroll data" "description"
is "$(claviger keys describe cmk ecc --keyring ring --format 'value(name)' | count)" 2 "two at once"
is "$(claviger keys list --keyring ring --filter id:cm --format 'value(name)' | sed 's#.*/##')" cmk "by part of the name"
claviger keys list --keyring ring | sed -n 2p | grep -q '^rsa' || fail "the newest is not the first"

# Editing.
does keys update cmk --keyring ring --description 'payroll data of 2030' --display-name Payroll
is "$(value displayName keys describe cmk --keyring ring)" Payroll "display name"
does aliases create alias/payroll --keyring ring --key cmk
does aliases update alias/payroll --keyring ring --key ecc
is "$(claviger aliases list --key ecc --keyring ring --format 'value(alias)')" alias/payroll "alias"

# Enabling and disabling, one and many.
does keys disable cmk --keyring ring --yes
is "$(value keyState keys describe cmk --keyring ring)" DISABLED "disabled"
does keys disable ecc rsa --keyring ring --yes
does keys enable cmk ecc rsa --keyring ring
is "$(claviger keys list --keyring ring --filter keyState=ENABLED --format 'value(name)' | count)" 3 "enabled"

# The online tool: small data, results as base64 or in files.
echo 'some small data' > plain
does encrypt --keyring ring --key cmk --plaintext-file plain --ciphertext-file text
base64 -w0 plain > plain64
claviger decrypt --ciphertext-file text --format 'value(plaintext)' | cmp - <(cat plain64; echo)
does decrypt --ciphertext-file text --plaintext-file opened
cmp plain opened

# Envelope encryption: a data key is used outside and kept nowhere.
does generate-data-key --keyring ring --key cmk --spec aes-256 --plaintext-file dek --ciphertext-file dek.enc
is "$(stat -c %s dek)" 32 "a data key"
openssl enc -aes-256-ctr -K "$(od -An -v -tx1 dek | tr -d ' \n')" -iv 00000000000000000000000000000000 -in plain -out big.enc
rm dek
does decrypt --ciphertext-file dek.enc --plaintext-file dek
openssl enc -d -aes-256-ctr -K "$(od -An -v -tx1 dek | tr -d ' \n')" -iv 00000000000000000000000000000000 -in big.enc | cmp - plain
does generate-random --length 16 --output-file random
is "$(stat -c %s random)" 16 "random bytes"

# Rotation: off until it is turned on, then once a year; old ciphertexts stay readable and can be renewed.
is "$(value enabled keys rotation status cmk --keyring ring)" false "off by default"
does keys rotation enable cmk --keyring ring
is "$(value rotationPeriod keys rotation status cmk --keyring ring)" 31536000s "once a year"
does keys rotation disable cmk --keyring ring
does keys rotate cmk --keyring ring
does decrypt --ciphertext-file text --plaintext-file opened
cmp plain opened
does reencrypt --ciphertext-file text --output-file renewed
! cmp -s text renewed || fail "nothing was renewed"
does decrypt --ciphertext-file renewed --plaintext-file opened
cmp plain opened

# Asymmetric keys.
claviger keys versions get-public-key 1 --keyring ring --key rsa > rsa.pub
openssl pkeyutl -encrypt -pubin -inkey rsa.pub -in plain -out rsa.enc -pkeyopt rsa_padding_mode:oaep \
    -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256
does asymmetric-decrypt --keyring ring --key rsa --version 1 --ciphertext-file rsa.enc --plaintext-file opened
cmp plain opened
does asymmetric-sign --keyring ring --key ecc --version 1 --input-file plain --signature-file sig
does asymmetric-verify --keyring ring --key ecc --version 1 --input-file plain --signature-file sig
claviger keys versions get-public-key 1 --keyring ring --key ecc > ecc.pub
openssl dgst -sha256 -verify ecc.pub -signature sig plain > /dev/null || fail "the signature does not verify"

# Deleting: only what is disabled, in 7 to 30 days; until then it can be taken back and is then disabled.
refused 7 keys destroy cmk --keyring ring --yes --pending-window-days 7
says "disable it before"
does keys disable cmk --keyring ring --yes
refused 2 keys destroy cmk --keyring ring --yes --pending-window-days 6
refused 2 keys destroy cmk --keyring ring --yes --pending-window-days 31
does keys destroy cmk --keyring ring --yes --pending-window-days 7
is "$(value keyState keys describe cmk --keyring ring)" PENDING_DELETION "pending"
refused 7 decrypt --ciphertext-file text
is "$(claviger audit list --operation Event.SCHEDULED_KEY_USE_ATTEMPT --format 'value(eventId)' | count)" 1 "a warning"
does keys restore cmk --keyring ring
is "$(value keyState keys describe cmk --keyring ring)" DISABLED "cancelled, it is disabled"
does keys enable cmk --keyring ring
does decrypt --ciphertext-file text

# Archiving.
does keys archive cmk --keyring ring
refused 7 encrypt --keyring ring --key cmk --plaintext-file plain
does decrypt --ciphertext-file text
does keys unarchive cmk --keyring ring

# Bound to a cloud's resource, a key is not deleted.
does keys bindings add cmk --keyring ring --product cbs --resource-id disk-1
does keys disable cmk --keyring ring --yes
refused 7 keys destroy cmk --keyring ring --yes --pending-window-days 7
does keys bindings remove cmk --keyring ring --product cbs --resource-id disk-1
does keys enable cmk --keyring ring

# External material: parameters, wrapping, import; only for symmetric keys.
refused 7 keys get-parameters-for-import ecc --keyring ring
does keys create byok --keyring ring --purpose ENCRYPT_DECRYPT --skip-initial-version-creation --import-only \
    --destroy-scheduled-duration 0
is "$(value keyState keys describe byok --keyring ring)" PENDING_IMPORT "it waits for its material"
claviger keys get-parameters-for-import byok --keyring ring --format 'value(importToken)' > token
token=$(cat token)
claviger keys get-parameters-for-import byok --keyring ring --wrapping-algorithm rsaes-oaep-sha-1 --format json > parameters
token=$(sed -n 's/.*"importToken": "\(.*\)".*/\1/p' parameters)
sed -n 's/.*"publicKey": "\(.*\)".*/\1/p' parameters | sed 's/\\n/\n/g' > import.pub
openssl rand -out material 32
openssl pkeyutl -encrypt -pubin -inkey import.pub -in material -out material.enc -pkeyopt rsa_padding_mode:oaep \
    -pkeyopt rsa_oaep_md:sha1 -pkeyopt rsa_mgf1_md:sha1
does keys import-key-material byok --keyring ring --import-token "$token" --wrapped-key-file material.enc
is "$(value keyState keys describe byok --keyring ring)" ENABLED "it is in"
does encrypt --keyring ring --key byok --plaintext-file plain --ciphertext-file byok.enc
does keys delete-imported-key-material byok --keyring ring --yes
refused 7 decrypt --ciphertext-file byok.enc
does keys import-key-material byok --keyring ring --import-token "$token" --wrapped-key-file material.enc
does decrypt --ciphertext-file byok.enc --plaintext-file opened
cmp plain opened

# Keys that a product made are looked at and rotated, not ended.
does keys create kms-cbs --keyring ring --purpose ENCRYPT_DECRYPT --managed-by uid:4000000000
does keys describe kms-cbs --keyring ring
does keys rotation enable kms-cbs --keyring ring
refused 7 keys disable kms-cbs --keyring ring --yes
refused 7 keys destroy kms-cbs --keyring ring --yes

# Who did what: by name, time, resource, word; the whole record on demand.
me=$(id -un)
[ "$(claviger audit list --user "$me" --operation CreateKey --resource-name projects/local/locations/ap-guangzhou/keyRings/ring/cryptoKeys/cmk --since=-1h --format 'value(eventId)' | count)" -ge 1 ] ||
    fail "who made the key is not recorded"
id=$(claviger audit list --keyword byok --operation ImportKeyMaterial --limit 1 --format 'value(eventId)')
is "$(value operation audit describe "$id")" ImportKeyMaterial "a record"
does audit verify

# White-box keys are not offered.
refused 2 white-box create
echo "tencent: all steps held"
