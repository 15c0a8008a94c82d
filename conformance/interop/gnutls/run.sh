#!/bin/bash
# GnuTLS: p11tool and certtool over every kind of object, and a TLS server whose key is in the token.
# What it makes is checked by openssl.
. "$(dirname "$0")/../lib.sh"
packages gnutls-bin opensc openssl
start_daemon
token gnutls
export GNUTLS_PIN=$PIN GNUTLS_SO_PIN=$SO_PIN
p11tool="p11tool --provider=$module --batch"
uri="pkcs11:token=gnutls"
printf 'cn = localhost\ndns_name = localhost\nsigning_key\nencryption_key\ntls_www_server\nexpiration_days = 30\n' >leaf.tmpl
printf 'cn = CA\nca\ncert_signing_key\nexpiration_days = 30\n' >ca.tmpl
printf 'Pay 100 to Alice\n' >letter

check "list tokens" "$p11tool --list-tokens | grep 'token=gnutls'"
check "list mechanisms" "$p11tool --list-mechanisms '$uri' | grep CKM_SHA256_RSA_PKCS_PSS"
check "random" "one=\$($p11tool --generate-random=32 '$uri') && two=\$($p11tool --generate-random=32 '$uri') && [ -n \"\$one\" ] && [ \"\$one\" != \"\$two\" ]"
n=1
for kind in rsa:2048 rsa:3072 ecdsa:secp256r1 ecdsa:secp384r1 ecdsa:secp521r1 ed25519:; do
    type=${kind%:*} size=${kind#*:} name=${kind/:/-}; name=${name%-}
    case $type in rsa) option="--bits=$size" ;; ecdsa) option="--curve=$size" ;; *) option= ;; esac
    check "generate $name" "$p11tool --login --generate-privkey=$type $option --label=$name --id=0$n --outfile=$name.pub '$uri' && openssl pkey -pubin -in $name.pub -noout"
    # p11tool 3.7 asks every key for SHA-256, which Ed25519 does not have.
    [ $type = ed25519 ] || check "test-sign $name" "$p11tool --login --test-sign '$uri;object=$name;type=private'"
    check "self-signed $name" "certtool --provider=$module --generate-self-signed --load-privkey '$uri;object=$name;type=private' --load-pubkey '$uri;object=$name;type=public' --template leaf.tmpl --outfile $name.crt && openssl verify -CAfile $name.crt -check_ss_sig $name.crt"
    check "write the certificate of $name" "$p11tool --login --write --load-certificate=$name.crt --label=$name --id=0$n '$uri' && $p11tool --export '$uri;object=$name;type=cert' | openssl x509 -outform DER | cmp - <(openssl x509 -in $name.crt -outform DER)"
    n=$((n + 1))
done
check "request" "certtool --provider=$module --generate-request --load-privkey '$uri;object=ecdsa-secp256r1;type=private' --load-pubkey '$uri;object=ecdsa-secp256r1;type=public' --template leaf.tmpl --outfile leaf.csr && openssl req -in leaf.csr -verify -noout"
check "certify with a key of the token" "certtool --provider=$module --generate-self-signed --load-privkey '$uri;object=rsa-2048;type=private' --load-pubkey '$uri;object=rsa-2048;type=public' --template ca.tmpl --outfile ca.crt && certtool --provider=$module --generate-certificate --load-request leaf.csr --load-ca-certificate ca.crt --load-ca-privkey '$uri;object=rsa-2048;type=private' --template leaf.tmpl --outfile leaf.crt && openssl verify -CAfile ca.crt leaf.crt"
check "PKCS#7 signature" "certtool --provider=$module --p7-sign --load-privkey '$uri;object=rsa-2048;type=private' --load-certificate rsa-2048.crt --infile letter --outfile letter.p7 && openssl cms -verify -inform PEM -in letter.p7 -CAfile rsa-2048.crt -purpose any -out opened && cmp letter opened"
check "write a private key" "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out own.pem && $p11tool --login --write --load-privkey=own.pem --label=own --id=20 '$uri' && $p11tool --login --test-sign '$uri;object=own;type=private'"
check "write a secret key" "$p11tool --login --write --secret-key=000102030405060708090a0b0c0d0e0f --label=secret '$uri'"
check "list all" "[ \$($p11tool --login --list-all '$uri' | grep -c '^Object') -ge 19 ]"
check "delete" "$p11tool --login --delete '$uri;object=own;type=private' && ! $p11tool --login --list-all '$uri' | grep 'object=own;type=private'"
check "set an id" "$p11tool --login --set-id=31 '$uri;object=rsa-3072;type=private' && $p11tool --login --list-all '$uri;id=%31;type=private' | grep rsa-3072"

serve() {
    local port=$((20000 + RANDOM % 20000)) server
    gnutls-serv --provider="$module" -q --http --port "$port" --x509keyfile "$uri;object=$1;type=private" --x509certfile "$work/$1.crt" \
        >"$work/serve.log" 2>&1 </dev/null &
    server=$!
    for _ in $(seq 50); do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break; sleep 0.1; done
    shift
    openssl s_client -connect "127.0.0.1:$port" -servername localhost -verify_return_error "$@" </dev/null >"$work/client.log" 2>&1
    local status=$?
    kill "$server" 2>/dev/null; wait "$server" 2>/dev/null
    [ "$status" = 0 ] || { tail -n 5 "$work/client.log" "$work/serve.log"; }
    return "$status"
}
for name in rsa-2048 ecdsa-secp256r1 ed25519; do
    check "TLS 1.3 server with $name" "serve $name -tls1_3 -CAfile $name.crt"
    check "TLS 1.2 server with $name" "serve $name -tls1_2 -CAfile $name.crt"
done
