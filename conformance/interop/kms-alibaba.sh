#!/bin/bash
# What Alibaba Cloud's guide tells of managing keys, step by step in claviger's words: default keys, key specs, aliases,
# tags, rotation, disabling with its check, deletion protection, deleting and taking back, imported material.
# RES-22 RES-23 ALG-11 ALG-12 ALG-13 ALG-15 NAM-03 NAM-06 NAM-07 NAM-08 NAM-09 NAM-10 NAM-12 STA-12 STA-13 STA-14 DST-06
# DST-08 DST-11 DST-21 DST-26 DST-27 DST-28 ROT-07 IMP-28 IMP-29 CRY-11 CRY-13 USE-01 USE-02 USE-03 USE-04
source "$(dirname "$0")/guide.lib.sh"
start_daemon 'min_rotation_period = "7d"' 'max_rotation_period = "365d"' \
    'locations = ["cn-hangzhou", {id = "cn-lab", hsm_available = false}]'

# Instances: where there is no HSM, no HSM key is made.
does keyrings create soft --location cn-lab
does keyrings create ring
refused 7 keys create k --keyring soft --location cn-lab --purpose ENCRYPT/DECRYPT --protection-level hsm
does keys create k --keyring soft --location cn-lab --purpose ENCRYPT/DECRYPT

# The default key: one in a location.
does keys create master --keyring ring --purpose ENCRYPT/DECRYPT --default
refused 5 keys create second --keyring ring --purpose ENCRYPT/DECRYPT --default
is "$(value defaultForLocation keys describe alias/default)" true "the default key"

# Key specs and key usages.
does keys create data --keyring ring --purpose ENCRYPT/DECRYPT --default-algorithm Aliyun_AES_256 --alias alias/Data_1/x-y
does keys create aes128 --keyring ring --purpose ENCRYPT/DECRYPT --default-algorithm Aliyun_AES_128 --protection-level hsm
does keys create sign --keyring ring --purpose SIGN/VERIFY --default-algorithm EC_P256 --protection-level hsm
does keys create koblitz --keyring ring --purpose SIGN/VERIFY --default-algorithm EC_P256K
does keys create rsa --keyring ring --purpose ENCRYPT/DECRYPT --default-algorithm RSA_2048
refused 2 keys create odd --keyring ring --purpose SIGN/VERIFY --default-algorithm Aliyun_AES_256
refused 2 aliases create 'alias/no spaces' --keyring ring --key data
refused 2 aliases create alias/acs/mine --keyring ring --key data
claviger --help > /dev/null
claviger keys create --help | grep -q 'emulated' || fail "that HSM is emulated is not said"

# Tags: text, prefixes, twenty, several keys at once, searching.
does keys tags set data sign --keyring ring --tags 'team=pay roll,path=/a\b_c-d.e+f=g:h@i'
refused 2 keys tags set data --keyring ring --tags aliyun-x=1
refused 2 keys tags set data --keyring ring --tags acs:x=1
refused 2 keys tags set data --keyring ring --tags 'bad!=1'
refused 2 keys tags set data --keyring ring --tags "$(printf 'k%.0s' $(seq 129))=1"
does keys tags set data --keyring ring --tags "$(seq -s, -f 't%g=1' 18)"
refused 7 keys tags set data --keyring ring --tags one-more=1
does keys tags set data --keyring ring --tags team=other
is "$(value tags.team keys describe data --keyring ring)" other "a tag's value changes"
does keys tags unset data sign --keyring ring --tags team,path
is "$(claviger keys list --keyring ring --filter tags:team --format 'value(name)' | count)" 0 "tags are gone"
does keys tags set rsa --keyring ring --tags find=me
is "$(claviger keys list --keyring ring --filter tags.find=me --format 'value(name)' | sed 's#.*/##')" rsa "found by its tag"

# Automatic rotation: symmetric keys, 7 to 365 days.
refused 2 keys rotation enable data --keyring ring --rotation-period 6d
refused 2 keys rotation enable data --keyring ring --rotation-period 366d
refused 2 keys rotation enable sign --keyring ring --rotation-period 30d
does keys rotation enable data --keyring ring --rotation-period 7d
is "$(value rotationPeriod keys describe data --keyring ring)" 604800s "the period"

# The public key of each version may be downloaded, the private one never.
does keys versions create --keyring ring --key sign
for version in 1 2; do
    does keys versions get-public-key $version --keyring ring --key sign --output-file $version.pub
    openssl pkey -pubin -in $version.pub -noout || fail "no public key"
done
! cmp -s 1.pub 2.pub || fail "each version has its own"
refused 7 keys versions get-public-key 1 --keyring ring --key data

# Disabling: first what uses it. Who never used it is told so.
echo plaintext > plain
is "$(value lastUse keys usage data --keyring ring)" "none in 365 days" "never used"
does encrypt --keyring ring --key data --plaintext-file plain --ciphertext-file text
does keys bindings add data --keyring ring --product ecs --resource-id i-1 --note disk
claviger keys usage data --keyring ring --refresh --format json > usage
grep -q '"product": "ecs"' usage && grep -q lastUseTime usage || fail "usage"
is "$(value lastUseOperation keys usage data --keyring ring)" Encrypt "the last use"
refused 11 keys disable data --keyring ring
is "$(value keyState keys describe data --keyring ring)" ENABLED "nobody confirmed"
does keys disable data --keyring ring --yes
is "$(value keyState keys describe data --keyring ring)" DISABLED "disabled"
refused 7 encrypt --keyring ring --key data --plaintext-file plain
refused 7 decrypt --ciphertext-file text
does keys enable data --keyring ring
does decrypt --ciphertext-file text

# Deletion protection.
does keys bindings remove data --keyring ring --product ecs --resource-id i-1
does keys protect data --keyring ring --reason 'holds the payroll'
refused 7 keys destroy data --keyring ring --yes
says 'holds the payroll'
does keys unprotect data --keyring ring --yes

# Deleting: scheduled, from enabled too; it does nothing meanwhile, cannot be protected, and can be taken back.
does keys destroy data --keyring ring --yes --pending-window-days 7
is "$(value keyState keys describe data --keyring ring)" PENDING_DELETION "pending"
refused 7 encrypt --keyring ring --key data --plaintext-file plain
refused 7 decrypt --ciphertext-file text
refused 7 generate-data-key --keyring ring --key data
refused 7 keys protect data --keyring ring
does keys restore data --keyring ring
does keys enable data --keyring ring
does decrypt --ciphertext-file text

# All that a user may do.
does generate-data-key --keyring ring --key data --plaintext-file dek --ciphertext-file dek.enc
claviger keys versions get-public-key 1 --keyring ring --key rsa > rsa.pub
does generate-data-key --keyring ring --key data --wrap-with-public-key-file rsa.pub --wrapped-key-file exported \
    --ciphertext-file exported.enc
does asymmetric-decrypt --keyring ring --key rsa --version 1 --ciphertext-file exported --plaintext-file dek1
does decrypt --ciphertext-file exported.enc --plaintext-file dek2
cmp dek1 dek2
does asymmetric-encrypt --keyring ring --key rsa --version 1 --plaintext-file plain --ciphertext-file rsa.enc
does asymmetric-decrypt --keyring ring --key rsa --version 1 --ciphertext-file rsa.enc --plaintext-file opened
cmp plain opened

# External material: the key says that it takes no other, and symmetric and asymmetric keys may be brought.
does keys create byok --keyring ring --purpose ENCRYPT/DECRYPT --skip-initial-version-creation --import-only
is "$(value importOnly keys describe byok --keyring ring)" true "external"
does import-jobs create job --keyring ring --import-method rsa-oaep-3072-sha256-aes-256 --protection-level hsm
does import-jobs wait job --keyring ring
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -outform DER -out ec.p8
does keys versions import --keyring ring --key sign --import-job job --algorithm EC_P256 --target-key-file ec.p8
openssl rand -out bytes 16
does keys versions import --keyring ring --key aes128 --import-job job --algorithm Aliyun_AES_128 --target-key-file bytes
echo "alibaba: all steps held"
