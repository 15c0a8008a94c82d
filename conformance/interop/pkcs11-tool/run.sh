#!/bin/bash
# OpenSC's pkcs11-tool in full: its own tests, every key type and mechanism it knows, objects, PINs, tokens.
# Results are checked by openssl. A mechanism that the token does not list is skipped by name.
. "$(dirname "$0")/../lib.sh"
packages opensc openssl
start_daemon
# With the broken mechanisms, because pkcs11-tool knows them too.
token tool --profile legacy
p11="pkcs11-tool --module $module"
user="$p11 --token-label tool --login --pin env:PIN"
so="$p11 --token-label tool --login --login-type so --so-pin env:SO_PIN"
head -c 1000 /dev/urandom >data
printf 'other' >other

check "show info" "$p11 -I | grep Claviger"
check "list slots" "$p11 -L | grep 'token label *: tool'"
check "list interfaces" "$p11 --list-interfaces | grep 'PKCS 11'"
check "list mechanisms" "$p11 -M | grep SHA256-RSA-PKCS"
check "generate random" "[ \$($user --generate-random 100 -o random && wc -c <random) = 100 ]"

# Key pairs -----------------------------------------------------------------------------------------------------------
number=16
# pair TYPE LABEL OPTIONS...: generates and exports the public key for openssl.
pair() {
    local type=$1 label=$2; shift 2
    number=$((number + 1))
    printf '%02x' $number >"$label.id"
    check "keypairgen $type" "$user -k --key-type $type --id $(cat "$label.id") --label $label $* && $user -r -y pubkey --id $(cat "$label.id") -o $label.der && { openssl pkey -pubin -inform DER -in $label.der -out $label.pub || openssl pkey -pubin -in $label.der -out $label.pub; } && openssl pkey -pubin -in $label.pub -noout -text"
}
for bits in 512 1024 2048 3072 4096; do pair rsa:$bits rsa$bits --usage-sign --usage-decrypt; done
for curve in prime192v1 brainpoolP192r1 secp192k1 brainpoolP224r1 brainpoolP320r1 prime256v1 secp384r1 secp521r1 secp256k1 secp224r1 brainpoolP256r1 brainpoolP384r1 brainpoolP512r1; do
    number=$((number + 1)); printf '%02x' $number >$curve.id
    check "keypairgen EC:$curve" "$user -k --key-type EC:$curve --id $(cat $curve.id) --label $curve --usage-sign --usage-derive && export_ec $curve $curve $curve.pub tool"
done
pair EC:edwards25519 edwards25519 --usage-sign
# pkcs11-tool 0.23 reads no public key of this type ("not (yet) supported"), but it prints the point: RFC 8410 around it.
export_x25519() {
    local point
    point=$($p11 --token-label tool -O -y pubkey 2>/dev/null | awk '$1 == "EC_POINT:" { point = $2 } $1 == "label:" && $2 == "curve25519" { print substr(point, 5); exit }')
    printf "$(sed 's/../\\x&/g' <<<"302a300506032b656e032100$point")" | openssl pkey -pubin -inform DER -out "$1"
}
number=$((number + 1)); printf '%02x' $number >curve25519.id
check "keypairgen EC:curve25519" "$user -k --key-type EC:curve25519 --id $(cat curve25519.id) --label curve25519 --usage-derive && export_x25519 curve25519.pub && openssl pkey -pubin -in curve25519.pub -noout -text | grep X25519"

id() { cat "$1.id"; }
# Signatures ----------------------------------------------------------------------------------------------------------
for hash in SHA1 SHA224 SHA256 SHA384 SHA512; do
    lower=$(tr A-Z a-z <<<$hash)
    for key in rsa2048 rsa4096; do
        m=$hash-RSA-PKCS
        needs $m "sign $key $m" && check "sign $key $m" "$user --sign -m $m --id $(id $key) -i data -o s && openssl dgst -$lower -verify $key.pub -signature s data && $user --verify -m $m --id $(id $key) -i data --signature-file s | grep 'Signature is valid'"
        m=$hash-RSA-PKCS-PSS
        needs $m "sign $key $m" && check "sign $key $m" "$user --sign -m $m --id $(id $key) -i data -o s && openssl dgst -$lower -verify $key.pub -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -signature s data && $user --verify -m $m --id $(id $key) -i data --signature-file s | grep 'Signature is valid'"
    done
    for curve in prime256v1 secp384r1 secp521r1 secp256k1 secp224r1 brainpoolP256r1 brainpoolP384r1 brainpoolP512r1; do
        m=ECDSA-$hash
        needs $m "sign $curve $m" && check "sign $curve $m" "$user --sign -m $m --signature-format openssl --id $(id $curve) -i data -o s && openssl dgst -$lower -verify $curve.pub -signature s data && $user --verify -m $m --signature-format openssl --id $(id $curve) -i data --signature-file s | grep 'Signature is valid'"
    done
    openssl dgst -$lower -binary -out digest data
    check "sign rsa2048 RSA-PKCS-PSS of a $hash digest" "$user --sign -m RSA-PKCS-PSS --hash-algorithm ${hash/SHA1/SHA-1} --id $(id rsa2048) -i digest -o s && openssl pkeyutl -verify -pubin -inkey rsa2048.pub -pkeyopt digest:$lower -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest -in digest -sigfile s"
    check "sign prime256v1 ECDSA of a $hash digest" "$user --sign -m ECDSA --signature-format openssl --id $(id prime256v1) -i digest -o s && openssl pkeyutl -verify -pubin -inkey prime256v1.pub -in digest -sigfile s"
done
for hash in SHA3-224 SHA3-256 SHA3-384 SHA3-512; do
    lower=$(tr A-Z a-z <<<$hash)
    m=$hash-RSA-PKCS; needs $m "sign rsa2048 $m" && check "sign rsa2048 $m" "$user --sign -m $m --id $(id rsa2048) -i data -o s && openssl dgst -$lower -verify rsa2048.pub -signature s data"
    m=$hash-RSA-PKCS-PSS; needs $m "sign rsa2048 $m" && check "sign rsa2048 $m" "$user --sign -m $m --id $(id rsa2048) -i data -o s && openssl dgst -$lower -verify rsa2048.pub -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -signature s data"
    m=ECDSA-$hash; needs $m "sign prime256v1 $m" && check "sign prime256v1 $m" "$user --sign -m $m --signature-format openssl --id $(id prime256v1) -i data -o s && openssl dgst -$lower -verify prime256v1.pub -signature s data"
done
head -c 100 data >short
check "sign rsa2048 RSA-PKCS" "$user --sign -m RSA-PKCS --id $(id rsa2048) -i short -o s && openssl pkeyutl -verifyrecover -pubin -inkey rsa2048.pub -in s -out r && cmp short r"
if needs RSA-X-509 "sign rsa2048 RSA-X-509"; then
    { printf '\0'; head -c 255 data; } >block
    check "sign rsa2048 RSA-X-509" "$user --sign -m RSA-X-509 --id $(id rsa2048) -i block -o s && openssl pkeyutl -encrypt -pubin -inkey rsa2048.pub -pkeyopt rsa_padding_mode:none -in s -out r && cmp block r"
    check "decrypt rsa2048 RSA-X-509" "openssl pkeyutl -encrypt -pubin -inkey rsa2048.pub -pkeyopt rsa_padding_mode:none -in block -out c && $user --decrypt -m RSA-X-509 --id $(id rsa2048) -i c -o r && cmp block r"
fi
check "sign edwards25519 EDDSA" "$user --sign -m EDDSA --id $(id edwards25519) -i data -o s && openssl pkeyutl -verify -pubin -inkey edwards25519.pub -rawin -in data -sigfile s && $user --verify -m EDDSA --id $(id edwards25519) -i data --signature-file s | grep 'Signature is valid'"
check "sign rsa512 SHA1-RSA-PKCS" "$user --sign -m SHA1-RSA-PKCS --id $(id rsa512) -i data -o s && openssl dgst -sha1 -verify rsa512.pub -signature s data"
check "sign rsa2048 MD5-RSA-PKCS" "$user --sign -m MD5-RSA-PKCS --id $(id rsa2048) -i data -o s && openssl dgst -md5 -verify rsa2048.pub -signature s data"
check "sign rsa2048 RIPEMD160-RSA-PKCS" "$user --sign -m RIPEMD160-RSA-PKCS --id $(id rsa2048) -i data -o s && openssl dgst -provider default -provider legacy -ripemd160 -verify rsa2048.pub -signature s data"
check "sign prime192v1 ECDSA-SHA1" "$user --sign -m ECDSA-SHA1 --signature-format openssl --id $(id prime192v1) -i data -o s && openssl dgst -sha1 -verify prime192v1.pub -signature s data"
check "keypairgen with re-authentication" "$user -k --key-type EC:prime256v1 --id 8a --label reauth --usage-sign --always-auth && $user -O -y privkey --id 8a | grep -i 'always auth' && $user --sign -m ECDSA-SHA256 --id 8a -i data -o s && $user --verify -m ECDSA-SHA256 --id 8a -i data --signature-file s | grep 'Signature is valid'"
check "keypairgen with allowed mechanisms" "$user -k --key-type rsa:2048 --id 8b --label limited --usage-sign --allowed-mechanisms SHA256-RSA-PKCS && $user --sign -m SHA256-RSA-PKCS --id 8b -i data -o s"
refuse "a mechanism that is not allowed" CKR_MECHANISM_INVALID "$user --sign -m SHA384-RSA-PKCS --id 8b -i data -o s"
$user --sign -m EDDSA --id "$(id edwards25519)" -i data -o s >/dev/null 2>&1
check "verify refuses other data" "$user --verify -m EDDSA --id $(id edwards25519) -i other --signature-file s | grep 'Invalid signature'"

# RSA encryption ------------------------------------------------------------------------------------------------------
check "decrypt RSA-PKCS" "openssl pkeyutl -encrypt -pubin -inkey rsa2048.pub -in short -out c && $user --decrypt -m RSA-PKCS --id $(id rsa2048) -i c -o r && cmp short r"
head -c 30 data >shorter
for hash in SHA-1 SHA224 SHA256 SHA384 SHA512; do
    lower=$(tr A-Z a-z <<<"${hash/-}")
    check "decrypt RSA-PKCS-OAEP $hash" "openssl pkeyutl -encrypt -pubin -inkey rsa2048.pub -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:$lower -pkeyopt rsa_mgf1_md:$lower -in shorter -out c && $user --decrypt -m RSA-PKCS-OAEP --hash-algorithm $hash --mgf MGF1-${hash/-} --id $(id rsa2048) -i c -o r && cmp shorter r"
done

# Digests -------------------------------------------------------------------------------------------------------------
for pair in MD5:md5 RIPEMD160:rmd160 SHA-1:sha1 SHA224:sha224 SHA256:sha256 SHA384:sha384 SHA512:sha512 SHA3-224:sha3-224 SHA3-256:sha3-256 SHA3-384:sha3-384 SHA3-512:sha3-512; do
    m=${pair%:*}
    needs "$m" "hash $m" && check "hash $m" "$user --hash -m $m -i data -o d && openssl dgst -provider default -provider legacy -${pair#*:} -binary -out e data && cmp d e"
done

# Secret keys ---------------------------------------------------------------------------------------------------------
iv=000102030405060708090a0b0c0d0e0f
head -c 960 data >blocks
hex() { od -An -v -tx1 "$1" | tr -d ' \n'; }
for bytes in 16 24 32; do
    bits=$((bytes * 8))
    openssl rand $bytes >aes$bits
    number=$((number + 1)); printf '%02x' $number >aes$bits.id
    check "keygen AES:$bytes" "$user --keygen --key-type AES:$bytes --id ff --label generated && $user -b -y secrkey --id ff"
    check "write AES:$bytes" "$user -w aes$bits -y secrkey --key-type AES:$bytes --id $(id aes$bits) --label aes$bits --usage-decrypt --usage-wrap --extractable"
    check "encrypt $bits AES-ECB" "$user --encrypt -m AES-ECB --id $(id aes$bits) -i blocks -o c && openssl enc -aes-$bits-ecb -nopad -K $(hex aes$bits) -in blocks -out e && cmp c e && $user --decrypt -m AES-ECB --id $(id aes$bits) -i c -o r && cmp r blocks"
    check "encrypt $bits AES-CBC" "$user --encrypt -m AES-CBC --iv $iv --id $(id aes$bits) -i blocks -o c && openssl enc -aes-$bits-cbc -nopad -K $(hex aes$bits) -iv $iv -in blocks -out e && cmp c e && $user --decrypt -m AES-CBC --iv $iv --id $(id aes$bits) -i c -o r && cmp r blocks"
    check "encrypt $bits AES-CBC-PAD" "$user --encrypt -m AES-CBC-PAD --iv $iv --id $(id aes$bits) -i data -o c && openssl enc -aes-$bits-cbc -K $(hex aes$bits) -iv $iv -in data -out e && cmp c e && $user --decrypt -m AES-CBC-PAD --iv $iv --id $(id aes$bits) -i c -o r && cmp r data"
    check "read value of AES:$bytes" "$user -r -y secrkey --id $(id aes$bits) -o v; [ ! -s v ] || cmp v aes$bits"
done
# pkcs11-tool cannot write generic secrets: the token makes one and wraps it with an AES key that openssl has too.
check "keygen GENERIC:64" "$user --keygen --key-type GENERIC:64 --id 61 --label generated --usage-sign --extractable"
check "wrap GENERIC:64 for openssl" "$user --wrap -m AES-KEY-WRAP --id $(id aes256) --application-id 61 -o w && openssl enc -d -id-aes256-wrap -iv A6A6A6A6A6A6A6A6 -K $(hex aes256) -in w -out generic && [ \$(wc -c <generic) = 64 ]"
for pair in SHA-1-HMAC:sha1 SHA224-HMAC:sha224 SHA256-HMAC:sha256 SHA384-HMAC:sha384 SHA512-HMAC:sha512 SHA3-224-HMAC:sha3-224 SHA3-256-HMAC:sha3-256 SHA3-384-HMAC:sha3-384 SHA3-512-HMAC:sha3-512; do
    m=${pair%:*}
    needs "$m" "sign $m" || continue
    check "sign $m" "$user --sign -m $m --id 61 -i data -o s && openssl dgst -${pair#*:} -mac HMAC -macopt hexkey:$(hex generic) -binary -out e data && cmp s e"
done
for type in DES:8 DES3:24; do
    needs "${type%:*}-KEY-GEN" "keygen $type" && check "keygen $type" "$user --keygen --key-type $type --id 63 --label des && $user -b -y secrkey --id 63"
done
skip "sign AES-CMAC" "pkcs11-tool 0.23 looks for a private key"

# Wrap and unwrap -----------------------------------------------------------------------------------------------------
check "keygen AES to be wrapped" "$user --keygen --key-type AES:32 --id 70 --label inside --usage-decrypt --extractable && $user --encrypt -m AES-CBC-PAD --iv $iv --id 70 -i data -o inside.c"
refuse "wrap with a key that may not" CKR_KEY_FUNCTION_NOT_PERMITTED "$user --wrap -m RSA-PKCS --id $(id rsa2048) --application-id 70 -o w"
check "keypairgen for wrapping" "$user -k --key-type rsa:2048 --id 72 --label wrapper --usage-wrap && $user -r -y pubkey --id 72 -o wrapper.der"
check "wrap RSA-PKCS, unwrap" "$user --wrap -m RSA-PKCS --id 72 --application-id 70 -o w && $user --unwrap -m RSA-PKCS --id 72 -i w --key-type AES: --application-id 73 --application-label back --usage-decrypt && $user --decrypt -m AES-CBC-PAD --iv $iv --id 73 -i inside.c -o r && cmp r data && $user -b -y secrkey --id 73"
check "unwrap RSA-PKCS of what openssl encrypted" "openssl pkeyutl -encrypt -pubin -keyform DER -inkey wrapper.der -in aes256 -out w && $user --unwrap -m RSA-PKCS --id 72 -i w --key-type AES: --application-id 74 --application-label known --usage-decrypt && $user --encrypt -m AES-ECB --id 74 -i blocks -o c && openssl enc -aes-256-ecb -nopad -K $(hex aes256) -in blocks -out e && cmp c e && $user -b -y secrkey --id 74"
# pkcs11-tool 0.23 wraps with RSA-PKCS-OAEP without its parameter.
refuse "wrap RSA-PKCS-OAEP without parameter" CKR_MECHANISM_PARAM_INVALID "$user --wrap -m RSA-PKCS-OAEP --id 72 --application-id 70 -o w"
for m in AES-CBC AES-CBC-PAD AES-KEY-WRAP; do
    needs $m "wrap $m" || continue
    $p11 --token-label tool -M | grep "^  $m," | grep -q unwrap || { skip "wrap $m" "the token's $m does not wrap"; continue; }
    check "wrap $m, unwrap" "$user --wrap -m $m --iv $iv --id $(id aes256) --application-id 70 -o w && $user --unwrap -m $m --iv $iv --id $(id aes256) -i w --key-type AES: --application-id 75 --application-label back --usage-decrypt && $user --decrypt -m AES-CBC-PAD --iv $iv --id 75 -i inside.c -o r && cmp r data && $user -b -y secrkey --id 75"
done

# Derive --------------------------------------------------------------------------------------------------------------
skip "derive curve25519" "pkcs11-tool 0.23 reads no peer key of this type"
if needs ECDH1-DERIVE "derive prime256v1"; then
    for curve in prime256v1 secp384r1 secp521r1 secp256k1; do
        check "derive $curve" "openssl ecparam -name $curve -genkey -noout -out peer.pem && openssl pkey -in peer.pem -pubout -outform DER -out peer.der && $user --derive -m ECDH1-DERIVE --id $(id $curve) -i peer.der -o z && openssl pkeyutl -derive -inkey peer.pem -peerkey $curve.pub -out e && cmp z e"
    done
fi

# Written key pairs, certificates, data -------------------------------------------------------------------------------
openssl genrsa -out made.pem 2048 2>/dev/null
openssl pkey -in made.pem -pubout -outform DER -out made.pub.der
openssl pkey -in made.pem -outform DER -out made.der
openssl req -x509 -new -key made.pem -subj /CN=made -days 30 -out made.crt && openssl x509 -in made.crt -outform DER -out made.crt.der
check "write private key" "$user -w made.der -y privkey --id 80 --label made --usage-sign && $user --sign -m SHA256-RSA-PKCS --id 80 -i data -o s && openssl dgst -sha256 -verify made.pub.der -keyform DER -signature s data"
check "write public key" "$user -w made.pub.der -y pubkey --id 80 --label made && $user -r -y pubkey --id 80 -o r && cmp r made.pub.der"
openssl ecparam -name prime256v1 -genkey -noout -out madeec.pem && openssl pkey -in madeec.pem -outform DER -out madeec.der && openssl pkey -in madeec.pem -pubout -out madeec.pub && openssl pkey -in madeec.pem -pubout -outform DER -out madeec.pub.der
check "write EC private key" "$user -w madeec.der -y privkey --id 81 --label madeec --usage-sign && $user --sign -m ECDSA-SHA384 --signature-format openssl --id 81 -i data -o s && openssl dgst -sha384 -verify madeec.pub -signature s data"
check "write EC public key" "$user -w madeec.pub.der -y pubkey --id 81 --label madeec && $user -r -y pubkey --id 81 -o r && cmp r madeec.pub.der"
check "write certificate" "$user -w made.crt.der -y cert --id 80 --label made && $user -O -y cert | grep 'subject: *DN: CN=made' && $user -r -y cert --id 80 -o r && cmp r made.crt.der"
check "read certificate without login" "$p11 --token-label tool -r -y cert --id 80 -o r && cmp r made.crt.der"
check "write data" "$user -w data -y data --application-id 1.2.3.4 --application-label notes --label notes && $user -r -y data --application-label notes -o r && cmp r data"
check "write private data" "$user -w data -y data --private --label secret && $user -r -y data --label secret -o r && cmp r data"
check "private data is not seen without login" "! $p11 --token-label tool -O -y data | grep secret"
check "change label" "$user --set-id 82 -y cert --id 80 && $user -O -y cert | grep 'ID: *82'"
check "delete data" "$user -b -y data --label notes && ! $user -O -y data | grep notes"
check "delete certificate" "$user -b -y cert --id 82 && ! $user -O -y cert | grep made"
check "delete key pair" "$user -b -y privkey --id 81 && $user -b -y pubkey --id 81 && ! $user -O | grep madeec"
check "list objects" "$user -O | grep 'Private Key Object; RSA'"
check "private objects are not seen without login" "! $p11 --token-label tool -O | grep 'Private Key Object'"

# Its own tests -------------------------------------------------------------------------------------------------------
check "test" "$user --test >test.log 2>&1; cat test.log; grep 'No errors' test.log"
check "test-ec" "$user --session-rw --test-ec --id 90 --key-type EC:prime256v1"
check "test-fork" "$p11 --test-fork"
check "test-threads" "$p11 --test-threads IN --test-threads GISLGM"

# PINs and tokens -----------------------------------------------------------------------------------------------------
check "change the user's PIN" "NEW=98765; export NEW; $user --change-pin --new-pin env:NEW && $p11 --token-label tool --login --pin env:NEW -O && $p11 --token-label tool --login --pin env:NEW --change-pin --new-pin env:PIN && $user -O"
refuse "a wrong PIN" CKR_PIN_INCORRECT "WRONG=0000 $p11 --token-label tool --login --pin 0000 -O"
check "change the SO's PIN" "$so --change-pin --new-pin 8765432100 && $p11 --token-label tool --login --login-type so --so-pin 8765432100 --change-pin --new-pin env:SO_PIN"
check "the SO sets the user's PIN" "$so --init-pin --new-pin 55555 && $p11 --token-label tool --login --pin 55555 -O && $so --init-pin --new-pin env:PIN && $user -O"
check "init-token of the free slot" "$p11 --slot-index 1 --init-token --label second --so-pin env:SO_PIN && $p11 --token-label second --login --login-type so --so-pin env:SO_PIN --init-pin --new-pin env:PIN && $p11 --token-label second --login --pin env:PIN --keygen --key-type AES:16 --label k --id 01"
check "there is a free slot again" "$p11 -L | grep 'uninitialized'"
check "init-token again" "$p11 --token-label second --init-token --label second --so-pin env:SO_PIN && $p11 --token-label second --login --login-type so --so-pin env:SO_PIN --init-pin --new-pin env:PIN && ! $p11 --token-label second --login --pin env:PIN -O | grep Secret"
refuse "init-token with a wrong SO PIN" CKR_PIN_INCORRECT "$p11 --token-label second --init-token --label second --so-pin 00000000"
exit 0
