#!/bin/bash
# Importing key versions, step by step as Google's guide tells it: the job, wrapping by the CLI and by hand, checking
# the version, the primary version, re-import.
# IMP-01 IMP-02 IMP-04 IMP-05 IMP-06 IMP-07 IMP-08 IMP-09 IMP-10 IMP-11 IMP-13 IMP-14 IMP-15 IMP-16 IMP-17 IMP-20
# IMP-21 IMP-23 IMP-24 IMP-25 IMP-30 IMP-31 IMP-32 IMP-34 IMP-35 STA-06 STA-07 STA-08 ALG-06 ALG-19 ROT-03 ROT-09
source "$(dirname "$0")/guide.lib.sh"
start_daemon

# Material that is good for a test: 32 random bytes, and an EC key as PKCS #8 in DER.
openssl rand -out test.bin 32
openssl ecparam -name prime256v1 -genkey -noout -out ec.pem
openssl pkcs8 -topk8 -nocrypt -in ec.pem -outform DER -out ec.p8
openssl pkey -in ec.pem -pubout -out ec.pub

# The target key and key ring: an empty key; one of them takes imported versions alone.
does keyrings create ring
does keys create sym --keyring ring --purpose encryption --skip-initial-version-creation
is "$(claviger keys versions list --keyring ring --key sym --format 'value(name)' | count)" 0 "no version yet"
refused 2 keys create ec --keyring ring --purpose asymmetric-signing --default-algorithm ec-sign-p256-sha256 --import-only
does keys create ec --keyring ring --purpose asymmetric-signing --default-algorithm ec-sign-p256-sha256 \
    --skip-initial-version-creation --import-only --destroy-scheduled-duration 0
refused 7 keys versions create --keyring ring --key ec

# The import job.
does import-jobs create job --keyring ring --import-method rsa-oaep-3072-sha256-aes-256 --protection-level software
does import-jobs wait job --keyring ring
is "$(value state import-jobs describe job --keyring ring)" ACTIVE "the job's state"
is "$(value importMethod import-jobs describe job --keyring ring)" RSA_OAEP_3072_SHA256_AES_256 "its method"
expires=$(value expireTime import-jobs describe job --keyring ring)
created=$(value createTime import-jobs describe job --keyring ring)
is $(($(date -d "$expires" +%s) - $(date -d "$created" +%s))) $((3 * 24 * 3600)) "it lasts three days"

# Automatic wrapping. The two ways exclude each other.
import=(keys versions import --keyring ring --import-job job)
refused 2 "${import[@]}" --key sym --algorithm google-symmetric-encryption --target-key-file test.bin --wrapped-key-file test.bin
does "${import[@]}" --key sym --algorithm google-symmetric-encryption --target-key-file test.bin
is "$(claviger keys versions list --keyring ring --key sym --format 'value(name,state)' | sed 's#.*/##')" \
    "$(printf '1\tENABLED')" "the version"
is "$(value importJob keys versions describe 1 --keyring ring --key sym)" \
    projects/local/locations/global/keyRings/ring/importJobs/job "it names its job"
[ -n "$(value importTime keys versions describe 1 --keyring ring --key sym)" ] || fail "no import time"
is "$(value generateTime keys versions describe 1 --keyring ring --key sym)" "" "it was not generated"

# A symmetric version is used once it is the primary one.
echo plaintext > plain
refused 7 encrypt --keyring ring --key sym --plaintext-file plain --ciphertext-file text
does keys set-primary-version sym --keyring ring --version 1
does encrypt --keyring ring --key sym --plaintext-file plain --ciphertext-file text
does decrypt --ciphertext-file text --plaintext-file opened
cmp plain opened
is "$(value enabled keys rotation status sym --keyring ring)" false "imported keys do not rotate by themselves"

# Manual wrapping, with the job's public key, OAEP of an AES key and AES-KWP of the material under it.
value publicKey.pem import-jobs describe job --keyring ring > job.pub
wrap() { # MATERIAL
    openssl rand -out kek 32
    openssl pkeyutl -encrypt -pubin -inkey job.pub -in kek -out wrapped -pkeyopt rsa_padding_mode:oaep \
        -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256
    openssl enc -id-aes256-wrap-pad -iv A65959A6 -K "$(od -An -v -tx1 kek | tr -d ' \n')" -in "$1" >> wrapped
}
wrap ec.p8
is "$(stat -c %s wrapped)" "$((384 + ($(stat -c %s ec.p8) + 7) / 8 * 8 + 8))" "modulus and KWP"
does "${import[@]}" --key ec --algorithm ec-sign-p256-sha256 --wrapped-key-file wrapped
does asymmetric-sign --keyring ring --key ec --version 1 --digest-algorithm sha256 --input-file plain --signature-file sig
openssl dgst -sha256 -verify ec.pub -signature sig plain > /dev/null || fail "the signature does not verify"
claviger keys versions get-public-key 1 --keyring ring --key ec | openssl pkey -pubin -outform DER -out shown.der
openssl pkey -pubin -in ec.pub -outform DER | cmp - shown.der

# The public key from a file, for many imports. The material's length must be the algorithm's.
does "${import[@]}" --key ec --algorithm ec-sign-p256-sha256 --target-key-file ec.p8 --public-key-file job.pub
head -c 31 test.bin > short.bin
refused 2 "${import[@]}" --key sym --algorithm google-symmetric-encryption --target-key-file short.bin
says WRONG_LENGTH
is "$(value state keys versions describe 2 --keyring ring --key sym)" IMPORT_FAILED "what failed is shown"
is "$(value importFailureReason keys versions describe 2 --keyring ring --key sym)" WRONG_LENGTH "and why"

# Re-import: into a version whose import failed, anything good; into a destroyed one, the same material alone.
is "$(value reimportEligible keys versions describe 2 --keyring ring --key sym)" true "a failed import may be repeated"
openssl rand -out other.bin 32
does "${import[@]}" --key sym --algorithm google-symmetric-encryption --target-key-file other.bin --version 2
is "$(value state keys versions describe 2 --keyring ring --key sym)" ENABLED "now it is in"
is "$(value reimportEligible keys versions describe 1 --keyring ring --key ec)" false "it has its material"
does keys versions destroy 1 --keyring ring --key ec --yes
is "$(value state keys versions describe 1 --keyring ring --key ec)" DESTROYED "destroyed"
is "$(value reimportEligible keys versions describe 1 --keyring ring --key ec)" true "it may come back"
refused 7 asymmetric-sign --keyring ring --key ec --version 1 --input-file plain
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -outform DER -out other.p8
refused 2 "${import[@]}" --key ec --algorithm ec-sign-p256-sha256 --target-key-file other.p8 --version 1
says MATERIAL_MISMATCH
does import-jobs create newer --keyring ring --import-method rsa-oaep-3072-sha256 --protection-level software
does import-jobs wait newer --keyring ring
does keys versions import --keyring ring --import-job newer --key ec --algorithm ec-sign-p256-sha256 \
    --target-key-file ec.p8 --version 1
does asymmetric-sign --keyring ring --key ec --version 1 --input-file plain --signature-file sig
openssl dgst -sha256 -verify ec.pub -signature sig plain > /dev/null || fail "the signature does not verify after re-import"
refused 7 keys versions import --keyring ring --import-job newer --key ec --algorithm ec-sign-p256-sha256 \
    --target-key-file ec.p8 --version 1

# Jobs are of one ring and one level.
does import-jobs create hard --keyring ring --import-method rsa-oaep-3072-sha256-aes-256 --protection-level hsm
does import-jobs wait hard --keyring ring
refused 7 keys versions import --keyring ring --import-job hard --key sym --algorithm google-symmetric-encryption \
    --target-key-file test.bin
refused 4 keys versions import --keyring ring --import-job none --key sym --algorithm google-symmetric-encryption \
    --target-key-file test.bin
is "$(claviger import-jobs list --keyring ring --filter state=ACTIVE --format 'value(name)' | count)" 3 "three jobs"
echo "import: all steps held"
