#!/bin/bash
# Claviger's main job, step by step: a key made through the module, kept by the daemon, managed by the CLI.
# Everything that is run is printed after "$"; the programs pkcs11-tool and openssl are Debian's, not ours.
# Runs in a temporary directory with its own daemon and cleans both up. `make demo` builds and calls it.
set -euo pipefail

release=${CLAVIGER_RELEASE:-$(cd "$(dirname "$0")/.." && pwd)/target/release}
for built in clavigerd claviger libclaviger_pkcs11.so conformance-handles; do
    [ -e "$release/$built" ] || { echo "demo: $release/$built is missing; run \`make build\` first" >&2; exit 1; }
done

umask 077
work=$(mktemp -d "${TMPDIR:-/tmp}/claviger-demo.XXXXXX")
daemon= number=0 title="preparing"

finish() {
    local status=$?
    trap - EXIT
    if [ "$status" != 0 ]; then
        printf '\ndemo: FAILED in step %d (%s), exit status %d\n' "$number" "$title" "$status" >&2
        if [ -s "$work/daemon.log" ]; then
            printf 'demo: the last lines of the daemon'"'"'s log:\n' >&2
            tail -n 20 "$work/daemon.log" | sed 's/^/  /' >&2
        fi
    fi
    [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null || true
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

step() {
    number=$((number + 1)) title=$1
    printf '\n== %d. %s\n' "$number" "$title"
}
say() { printf '   %s\n' "$*"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }

# Prints a command as a person would type it, runs it, and indents what it says.
run() {
    printf '$ %s\n' "$1"
    local status=0
    eval "$1" >"$work/.said" 2>&1 </dev/null || status=$?
    # Two remarks of pkcs11-tool on keys that hide their value or have no such attribute are no news here.
    grep -v -e '^warning: PKCS11 function C_GetAttributeValue' -e '^$' "$work/.said" | sed 's/^/    /' || true
    return "$status"
}
# A command that must be refused.
refused() {
    if run "$1"; then fail "this should have been refused"; fi
}
# A command whose output must contain a text.
shows() {
    run "$2"
    grep -q -e "$1" "$work/.said" || fail "the output should show: $1"
}
# A command whose output must not contain a text.
hides() {
    run "$2"
    if grep -q -e "$1" "$work/.said"; then fail "the output should not show: $1"; fi
}

start_daemon() {
    printf '$ clavigerd --dev keys &\n'
    : >"$work/daemon.out"
    clavigerd --dev keys >"$work/daemon.out" 2>>"$work/daemon.log" &
    daemon=$!
    for _ in $(seq 300); do
        grep -qx ready "$work/daemon.out" && { printf '    ready\n'; return; }
        kill -0 "$daemon" 2>/dev/null || fail "the daemon stopped instead of getting ready"
        sleep 0.1
    done
    fail "the daemon did not get ready within 30 seconds"
}

cd "$work"
export PATH=$release:$PATH
export MODULE=$release/libclaviger_pkcs11.so
export CLAVIGER_SOCKET=$work/keys/pkcs11.sock CLAVIGER_ADMIN_SOCKET=$work/keys/admin.sock
# A token's PIN comes from the environment, so that it stands on no command line.
openssl rand -hex 8 >user.pin
openssl rand -hex 8 >so.pin
PIN=$(cat user.pin)
export PIN
printf 'Pay 100 to Alice\n' >letter.txt

step "Start the daemon"
say "--dev keeps store, root key and both sockets in one directory, here $work/keys"
start_daemon

step "Create two key rings with the CLI; each is a token for PKCS#11 applications"
run 'claviger keyrings create demo --token-label demo --so-pin-file so.pin --user-pin-file user.pin'
say "libp11 0.4.12, the OpenSSL engine of Debian 12, stops at an Ed25519 private key, so that gets a token of its own."
run 'claviger keyrings create edwards --token-label edwards --so-pin-file so.pin --user-pin-file user.pin'

step "Look at the tokens with pkcs11-tool"
shows 'token label *: demo' 'pkcs11-tool --module $MODULE --list-slots'
shows 'RSA-PKCS-OAEP' 'pkcs11-tool --module $MODULE --token-label demo --list-mechanisms'
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --list-objects'

step "Generate RSA-2048, P-256, AES-256 and Ed25519 keys in the tokens"
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --keypairgen --key-type rsa:2048 --id 01 --label rsa --usage-sign --usage-decrypt'
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --keypairgen --key-type EC:prime256v1 --id 02 --label ec --usage-sign'
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --keygen --key-type AES:32 --id 03 --label aes'
run 'pkcs11-tool --module $MODULE --token-label edwards --login --pin env:PIN --keypairgen --key-type EC:edwards25519 --id 04 --label ed --usage-sign'

step "Export the public keys"
run 'pkcs11-tool --module $MODULE --token-label demo --read-object --type pubkey --id 01 --output-file rsa.der'
run 'pkcs11-tool --module $MODULE --token-label demo --read-object --type pubkey --id 02 --output-file ec.der'
run 'pkcs11-tool --module $MODULE --token-label edwards --read-object --type pubkey --id 04 --output-file ed.pem'

step "Sign a letter in the token, verify every signature with openssl"
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --sign -m SHA256-RSA-PKCS --id 01 -i letter.txt -o rsa.sig'
shows 'Verified OK' 'openssl dgst -sha256 -verify rsa.der -keyform DER -signature rsa.sig letter.txt'
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --sign -m SHA256-RSA-PKCS-PSS --id 01 -i letter.txt -o pss.sig'
shows 'Verified OK' 'openssl dgst -sha256 -verify rsa.der -keyform DER -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -signature pss.sig letter.txt'
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --sign -m ECDSA-SHA256 --signature-format openssl --id 02 -i letter.txt -o ec.sig'
shows 'Verified OK' 'openssl dgst -sha256 -verify ec.der -keyform DER -signature ec.sig letter.txt'
run 'pkcs11-tool --module $MODULE --token-label edwards --login --pin env:PIN --sign -m EDDSA --id 04 -i letter.txt -o ed.sig'
shows 'Verified Successfully' 'openssl pkeyutl -verify -pubin -inkey ed.pem -rawin -in letter.txt -sigfile ed.sig'

step "Decrypt in the token what openssl encrypted with RSA-OAEP"
run 'openssl pkeyutl -encrypt -pubin -keyform DER -inkey rsa.der -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256 -in letter.txt -out letter.oaep'
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --decrypt -m RSA-PKCS-OAEP --hash-algorithm SHA256 --mgf MGF1-SHA256 --id 01 -i letter.oaep -o letter.back'
run 'cmp letter.txt letter.back && cat letter.back'

step "Encrypt and decrypt a file with the AES key"
head -c 100000 /dev/urandom >file
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --encrypt -m AES-CBC-PAD --iv 000102030405060708090a0b0c0d0e0f --id 03 -i file -o file.aes'
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --decrypt -m AES-CBC-PAD --iv 000102030405060708090a0b0c0d0e0f --id 03 -i file.aes -o file.back'
run 'cmp file file.back && wc -c file file.aes file.back'
if cmp -s file file.aes; then fail "the encrypted file is the plain one"; fi

step "Make a certificate with the token's key through OpenSSL's engine"
engine=$(ls /usr/lib/*/engines-3/pkcs11.so | head -n 1)
# The engine takes the PIN from its configuration, a file that only its owner reads.
cat >engine.cnf <<CONF
openssl_conf = init
[init]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
dynamic_path = $engine
MODULE_PATH = $MODULE
PIN = $PIN
[req]
distinguished_name = dn
x509_extensions = ext
[dn]
[ext]
basicConstraints = critical, CA:TRUE
CONF
run "OPENSSL_CONF=engine.cnf openssl req -x509 -new -engine pkcs11 -keyform engine -key 'pkcs11:token=demo;object=ec;type=private' -subj '/CN=Claviger demo' -days 30 -sha256 -out certificate.pem"
shows 'certificate.pem: OK' 'openssl verify -CAfile certificate.pem certificate.pem'
run 'openssl x509 -in certificate.pem -noout -subject -dates'
openssl x509 -in certificate.pem -noout -pubkey | openssl pkey -pubin -outform DER | cmp - ec.der ||
    fail "the certificate's key is not the token's"
say "Its public key is the token's, byte for byte."

step "See the same keys as keys and versions with the CLI"
shows '^ *rsa ' 'claviger keys list --keyring demo'
shows 'Enabled' 'claviger keys versions list --keyring demo --key rsa'
run 'claviger keys describe rsa --keyring demo'
run 'claviger keys versions describe 1 --keyring demo --key ec'

step "Import a P-256 key that openssl made; the CLI wraps it for the import job"
run 'openssl ecparam -name prime256v1 -genkey -noout -out made.pem'
run 'openssl pkcs8 -topk8 -nocrypt -in made.pem -outform DER -out made.p8'
run 'openssl pkey -in made.pem -pubout -out made.pub'
run 'claviger import-jobs create job --keyring demo --import-method rsa-oaep-3072-sha256-aes-256 --protection-level software'
run 'claviger import-jobs wait job --keyring demo'
run 'claviger keys create imported-ec --keyring demo --purpose asymmetric-signing --default-algorithm ec-sign-p256-sha256 --skip-initial-version-creation --import-only'
shows 'Enabled' 'claviger keys versions import --keyring demo --key imported-ec --import-job job --algorithm ec-sign-p256-sha256 --target-key-file made.p8'
say 'pkcs11-tool picks the key of an operation by CKA_ID, which the daemon chose:'
run 'EC_ID=$(pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN -O --type privkey | awk "/label:/ {mine = /imported-ec/} mine && /^  ID:/ {print \$2}")'
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --sign -m ECDSA-SHA256 --signature-format openssl --id $EC_ID -i letter.txt -o imported.sig'
shows 'Verified OK' 'openssl dgst -sha256 -verify made.pub -signature imported.sig letter.txt'

step "Import an AES key wrapped by hand: RSA-OAEP of a fresh key-encryption key, then AES key wrap with padding"
run 'openssl rand -out made.aes 32'
run 'openssl rand -out kek 32'
# The job's public key is a field of its JSON description; this takes it out without another program.
run "claviger import-jobs describe job --keyring demo --format json | tr -d '\n' | sed 's/.*\"pem\": *\"\([^\"]*\)\".*/\1/; s/\\\\n/\n/g' >job.pem"
run 'openssl pkeyutl -encrypt -pubin -inkey job.pem -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256 -in kek -out wrapped.1'
say "(openssl takes the key-encryption key on its command line; it is used once and thrown away.)"
run "openssl enc -id-aes256-wrap-pad -iv A65959A6 -K \$(od -An -v -tx1 kek | tr -d ' \n') -in made.aes -out wrapped.2"
run 'cat wrapped.1 wrapped.2 >wrapped && rm kek'
run 'claviger keys create imported-aes --keyring demo --purpose raw-encryption --default-algorithm aes-256-cbc --skip-initial-version-creation --import-only'
shows 'Enabled' 'claviger keys versions import --keyring demo --key imported-aes --import-job job --algorithm aes-256-cbc --wrapped-key-file wrapped'
run 'AES_ID=$(pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN -O --type secrkey 2>/dev/null | awk "/label:/ {mine = /imported-aes/} mine && /^  ID:/ {print \$2}")'
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --encrypt -m AES-CBC-PAD --iv 000102030405060708090a0b0c0d0e0f --id $AES_ID -i letter.txt -o letter.aes'
run "openssl enc -d -aes-256-cbc -iv 000102030405060708090a0b0c0d0e0f -K \$(od -An -v -tx1 made.aes | tr -d ' \n') -in letter.aes"
grep -q 'Pay 100 to Alice' "$work/.said" || fail "openssl should decrypt what the token encrypted with the same key"

step "Disable a version: its use is refused; enable it again"
run 'claviger keys versions disable 1 --keyring demo --key rsa'
refused 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --sign -m SHA256-RSA-PKCS --id 01 -i letter.txt -o refused.sig'
grep -q CKR_KEY_FUNCTION_NOT_PERMITTED "$work/.said" || fail "the refusal should be CKR_KEY_FUNCTION_NOT_PERMITTED"
run 'claviger keys versions enable 1 --keyring demo --key rsa'
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --sign -m SHA256-RSA-PKCS --id 01 -i letter.txt -o rsa.sig'
shows 'Verified OK' 'openssl dgst -sha256 -verify rsa.der -keyform DER -signature rsa.sig letter.txt'

step "Schedule a version for destruction: it leaves the token; restore it, enable it, use it"
run 'claviger keys versions destroy 1 --keyring demo --key rsa --yes'
hides 'label: *rsa$' 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --list-objects'
run 'claviger keys versions restore 1 --keyring demo --key rsa'
shows 'Disabled' 'claviger keys versions list --keyring demo --key rsa'
run 'claviger keys versions enable 1 --keyring demo --key rsa'
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --sign -m SHA256-RSA-PKCS --id 01 -i letter.txt -o rsa.sig'
shows 'Verified OK' 'openssl dgst -sha256 -verify rsa.der -keyform DER -signature rsa.sig letter.txt'

step "Kill the daemon with SIGKILL, start it again: every key is there, with the same object handles"
say "conformance-handles prints handle, class and label of every object, which pkcs11-tool does not."
run 'conformance-handles $MODULE demo >handles.before && cat handles.before'
run 'conformance-handles $MODULE edwards >>handles.before'
printf '$ kill -9 %d\n' "$daemon"
kill -9 "$daemon"
wait "$daemon" 2>/dev/null || true
start_daemon
run 'conformance-handles $MODULE demo >handles.after'
run 'conformance-handles $MODULE edwards >>handles.after'
run 'diff handles.before handles.after && echo identical'
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --sign -m SHA256-RSA-PKCS --id 01 -i letter.txt -o rsa.sig'
shows 'Verified OK' 'openssl dgst -sha256 -verify rsa.der -keyform DER -signature rsa.sig letter.txt'
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --sign -m ECDSA-SHA256 --signature-format openssl --id 02 -i letter.txt -o ec.sig'
shows 'Verified OK' 'openssl dgst -sha256 -verify ec.der -keyform DER -signature ec.sig letter.txt'
run 'pkcs11-tool --module $MODULE --token-label edwards --login --pin env:PIN --sign -m EDDSA --id 04 -i letter.txt -o ed.sig'
shows 'Verified Successfully' 'openssl pkeyutl -verify -pubin -inkey ed.pem -rawin -in letter.txt -sigfile ed.sig'
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --sign -m ECDSA-SHA256 --signature-format openssl --id $EC_ID -i letter.txt -o imported.sig'
shows 'Verified OK' 'openssl dgst -sha256 -verify made.pub -signature imported.sig letter.txt'
run 'pkcs11-tool --module $MODULE --token-label demo --login --pin env:PIN --decrypt -m AES-CBC-PAD --iv 000102030405060708090a0b0c0d0e0f --id 03 -i file.aes -o file.back'
run 'cmp file file.back && echo identical'

cat <<NEXT

== Done: $number steps, all as they should be.

To go on, start a daemon of your own in one terminal:

    $release/clavigerd --dev ~/claviger-keys

and in another:

    export PATH=$release:\$PATH
    export MODULE=$release/libclaviger_pkcs11.so
    export CLAVIGER_SOCKET=~/claviger-keys/pkcs11.sock CLAVIGER_ADMIN_SOCKET=~/claviger-keys/admin.sock
    (umask 077; echo 12345678 >so.pin; echo 1234 >user.pin)

    claviger keyrings create first --so-pin-file so.pin --user-pin-file user.pin
    pkcs11-tool --module \$MODULE --token-label first --login --keypairgen --key-type EC:prime256v1 --label mine
    claviger keys list --keyring first
NEXT
