#!/bin/bash
# OpenSSL 3.5 with pkcs11-provider, both from Debian trixie, in a root of their own below the cache: storeutl, dgst,
# pkeyutl, req, cms, TLS 1.2 and 1.3 with server and client authentication, genpkey in the token. Every result is
# checked by this machine's openssl, without the provider.
. "$(dirname "$0")/../lib.sh"
packages openssl opensc debootstrap
[ "$(id -u)" = 0 ] || unavailable "debootstrap and chroot need root"
root=$cache/trixie
if [ ! -x "$root/usr/bin/openssl" ] || [ ! -e "$root/.complete" ]; then
    rm -rf "$root"; mkdir -p "$cache"
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep '/debian$' | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 }')
    debootstrap --variant=minbase --include=openssl,pkcs11-provider,ca-certificates trixie "$root" $mirror >debootstrap.log 2>&1 ||
        { tail -n 5 debootstrap.log; unavailable "cannot make a Debian trixie root"; }
    touch "$root/.complete"
fi
start_daemon
token provider
# The working directory is seen in the root under the same name; the sockets are in it, the module is copied into it.
cp "$module" "$work/module.so"
mkdir -p "$root$work"
chmod 711 "$work"
mount --bind "$work" "$root$work" || unavailable "cannot bind a directory into the root"
mount --bind /dev "$root/dev"
unbind() { local status=$?; stop_daemon; cd /; umount "$root$work"; umount "$root/dev"; rmdir "$root$work"; (exit $status); finish; }
trap unbind EXIT
cat >provider.cnf <<END
openssl_conf = init
[init]
providers = providers
[providers]
default = default_provider
pkcs11 = pkcs11_provider
[default_provider]
activate = 1
[pkcs11_provider]
module = $(cd "$root" && ls usr/lib/*/ossl-modules/pkcs11.so | sed 's|^|/|')
pkcs11-module-path = $work/module.so
pkcs11-module-token-pin = $PIN
pkcs11-module-encode-provider-uri-to-pem = true
activate = 1
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical, CA:TRUE
[leaf]
subjectAltName = DNS:localhost
END
command=(chroot "$root" /bin/sh -c 'cd "$1" && shift && exec "$@"' sh "$work" env OPENSSL_CONF="$work/provider.cnf" CLAVIGER_SOCKET="$CLAVIGER_SOCKET" openssl)
provider() { "${command[@]}" "$@"; }
p11="pkcs11-tool --module $module --token-label provider --login --pin env:PIN"
uri() { printf 'pkcs11:token=provider;object=%s;type=private' "$1"; }
printf 'Pay 100 to Alice\n' >letter

check "OpenSSL 3.5" "provider version | grep 'OpenSSL 3\.5'"
check "the provider is active" "provider list -providers | grep -i 'pkcs11'"
check "genpkey RSA in the token" "provider genpkey -propquery provider=pkcs11 -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt 'pkcs11_uri:pkcs11:token=provider;object=rsa;id=%01' -out g.pem && $p11 -O | grep 'label: *rsa'"
check "genpkey EC in the token" "provider genpkey -propquery provider=pkcs11 -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt 'pkcs11_uri:pkcs11:token=provider;object=ec;id=%02' -out g.pem && $p11 -O | grep 'label: *ec'"
check "genpkey ED25519 in the token" "provider genpkey -propquery provider=pkcs11 -algorithm ED25519 -pkeyopt 'pkcs11_uri:pkcs11:token=provider;object=ed;id=%03' -out g.pem && $p11 -O | grep 'label: *ed'"
check "generate P-384" "$p11 -k --key-type EC:secp384r1 --id 04 --label ec384 --usage-sign --usage-derive"
check "storeutl" "provider storeutl -noout -text 'pkcs11:token=provider' >store && grep -i 'private-key\|PKCS11' store"
for key in rsa ec ed ec384; do
    check "public key of $key" "provider pkey -in '$(uri $key)' -pubout -out $key.pub && openssl pkey -pubin -in $key.pub -noout -text"
done
for hash in sha1 sha256 sha384 sha512; do
    check "dgst rsa $hash" "provider dgst -$hash -sign '$(uri rsa)' -out s letter && openssl dgst -$hash -verify rsa.pub -signature s letter"
    check "dgst rsa $hash PSS" "provider dgst -$hash -sign '$(uri rsa)' -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -out s letter && openssl dgst -$hash -verify rsa.pub -sigopt rsa_padding_mode:pss -signature s letter"
    check "dgst ec $hash" "provider dgst -$hash -sign '$(uri ec)' -out s letter && openssl dgst -$hash -verify ec.pub -signature s letter"
    check "dgst ec384 $hash" "provider dgst -$hash -sign '$(uri ec384)' -out s letter && openssl dgst -$hash -verify ec384.pub -signature s letter"
done
check "dgst verified in the token" "openssl version >/dev/null; provider dgst -sha256 -sign '$(uri rsa)' -out s letter && provider dgst -sha256 -verify 'pkcs11:token=provider;object=rsa;type=public' -signature s letter"
openssl rand 32 >secret
check "pkeyutl sign rsa" "provider pkeyutl -sign -inkey '$(uri rsa)' -pkeyopt digest:sha256 -in secret -out s && openssl pkeyutl -verify -pubin -inkey rsa.pub -pkeyopt digest:sha256 -in secret -sigfile s"
check "pkeyutl sign ec" "provider pkeyutl -sign -inkey '$(uri ec)' -in secret -out s && openssl pkeyutl -verify -pubin -inkey ec.pub -in secret -sigfile s"
check "pkeyutl sign ed" "provider pkeyutl -sign -inkey '$(uri ed)' -rawin -in letter -out s && openssl pkeyutl -verify -pubin -inkey ed.pub -rawin -in letter -sigfile s"
check "pkeyutl verify ec in the token" "provider pkeyutl -sign -inkey '$(uri ec)' -in secret -out s && provider pkeyutl -verify -pubin -inkey 'pkcs11:token=provider;object=ec;type=public' -in secret -sigfile s"
check "pkeyutl decrypt PKCS#1" "openssl pkeyutl -encrypt -pubin -inkey rsa.pub -in secret -out c && provider pkeyutl -decrypt -inkey '$(uri rsa)' -in c -out d && cmp secret d"
check "pkeyutl decrypt OAEP" "openssl pkeyutl -encrypt -pubin -inkey rsa.pub -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -in secret -out c && provider pkeyutl -decrypt -inkey '$(uri rsa)' -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256 -in c -out d && cmp secret d"
if needs ECDH1-DERIVE "pkeyutl derive"; then
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out peer.pem && openssl pkey -in peer.pem -pubout -out peer.pub
    check "pkeyutl derive" "provider pkeyutl -derive -inkey '$(uri ec)' -peerkey peer.pub -out z1 && openssl pkeyutl -derive -inkey peer.pem -peerkey ec.pub -out z2 && cmp z1 z2"
fi
for key in rsa ec ec384 ed; do
    check "req CSR $key" "provider req -new -config provider.cnf -key '$(uri $key)' -subj /CN=$key -out $key.csr && openssl req -in $key.csr -verify -noout"
    check "req self-signed $key" "provider req -x509 -new -config provider.cnf -extensions ca -key '$(uri $key)' -subj '/CN=ca $key' -days 30 -out $key.ca && openssl verify -CAfile $key.ca $key.ca"
    check "x509 issues with $key" "provider x509 -req -in $key.csr -CA $key.ca -CAkey '$(uri $key)' -set_serial 7 -days 10 -extfile provider.cnf -extensions leaf -out $key.crt && openssl verify -CAfile $key.ca $key.crt"
done
check "certificate in the token" "openssl x509 -in rsa.crt -outform DER -out crt.der && $p11 -w crt.der -y cert --id 01 --label rsa && provider storeutl -certs 'pkcs11:token=provider;object=rsa;type=cert' | openssl x509 -noout -subject | grep rsa"
for key in rsa ec; do
    check "cms sign $key" "provider cms -sign -nodetach -binary -md sha256 -inkey '$(uri $key)' -signer $key.crt -in letter -outform DER -out l.p7 && openssl cms -verify -inform DER -in l.p7 -binary -CAfile $key.ca -purpose any -out l && cmp letter l"
done
check "cms decrypt RSA" "openssl cms -encrypt -binary -aes256 -in letter -outform DER -out l.p7 rsa.crt && provider cms -decrypt -inkey '$(uri rsa)' -recip rsa.crt -inform DER -in l.p7 -out l && cmp letter l"
needs ECDH1-DERIVE "cms decrypt EC" && check "cms decrypt EC" "openssl cms -encrypt -binary -aes256 -in letter -outform DER -out l.p7 ec.crt && provider cms -decrypt -inkey '$(uri ec)' -recip ec.crt -inform DER -in l.p7 -out l && cmp letter l"

# tls SERVER CLIENT KEY VERSION: one of the two sides ("provider" or "openssl") has the token's key.
tls() {
    local port=$((20000 + RANDOM % 20000)) server ok=1 key=$3
    openssl req -x509 -newkey rsa:2048 -nodes -keyout soft.pem -subj /CN=localhost -addext subjectAltName=DNS:localhost -out soft.crt 2>/dev/null
    if [ "$1" = provider ]; then
        "${command[@]}" s_server -key "$(uri "$key")" -cert "$key.crt" -accept "$port" -"$4" -naccept 3 -quiet >server.log 2>&1 </dev/null &
    else
        openssl s_server -key soft.pem -cert soft.crt -accept "$port" -"$4" -naccept 3 -quiet -Verify 1 -verify_return_error -CAfile "$key.ca" >server.log 2>&1 </dev/null &
    fi
    server=$!
    for _ in $(seq 50); do (: <>/dev/tcp/127.0.0.1/$port) 2>/dev/null && break; sleep 0.1; done
    if [ "$1" = provider ]; then
        openssl s_client -connect "localhost:$port" -"$4" -CAfile "$key.ca" -verify_return_error -verify_hostname localhost </dev/null >client.log 2>&1 && grep 'Verify return code: 0' client.log || ok=0
    else
        # TLS 1.3 tells the client of a refusal only after the handshake: the client waits for what the server says.
        { sleep 1; } | provider s_client -connect "127.0.0.1:$port" -"$4" -CAfile soft.crt -key "$(uri "$key")" -cert "$key.crt" -verify_return_error >client.log 2>&1 || ok=0
        if grep -q -i 'alert\|error' client.log; then ok=0; fi
        grep -q 'Verify return code: 0' client.log || ok=0
    fi
    kill "$server" 2>/dev/null; wait "$server" 2>/dev/null
    [ $ok = 1 ] || { cat client.log server.log; return 1; }
}
for key in rsa ec ec384; do
    for version in tls1_2 tls1_3; do
        check "s_server $key $version" "tls provider openssl $key $version"
        check "client authentication $key $version" "tls openssl provider $key $version"
    done
done
exit 0
