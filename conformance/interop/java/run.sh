#!/bin/bash
# Java 17 with SunPKCS11: keytool, jarsigner, and Interop.java, which compares every service that the provider offers
# on the token with Java's own providers.
. "$(dirname "$0")/../lib.sh"
packages openjdk-17-jdk-headless openssl opensc
home=$(ls -d /usr/lib/jvm/java-17-openjdk-* | head -n 1)
PATH=$home/bin:$PATH
start_daemon
token java --profile legacy
serial=$(pkcs11-tool --module "$module" -L | sed -n 's/^  serial num *: *//p' | head -n 1)
slot=$(pkcs11-tool --module "$module" -L | sed -n "s/^Slot \([0-9]*\) .*/\1/p" | head -n 1)
# KeyAgreement reads the value of what it derives, so that must be readable.
printf 'name = Claviger\nlibrary = %s\nslot = %s\n%s\n' "$module" "$slot" \
    'attributes(generate, CKO_SECRET_KEY, CKK_GENERIC_SECRET) = { CKA_SENSITIVE = false CKA_EXTRACTABLE = true }' >p11.cfg
store="-keystore NONE -storetype PKCS11 -addprovider SunPKCS11 -providerArg $work/p11.cfg -storepass:env PIN"

check "the provider finds the token $serial" "keytool -list $store"
check "keytool genkeypair RSA" "keytool -genkeypair $store -alias rsa -keyalg RSA -keysize 2048 -dname CN=localhost -ext BC:c=ca:true -ext SAN=dns:localhost,ip:127.0.0.1 -validity 30"
check "keytool genkeypair EC" "keytool -genkeypair $store -alias ec -keyalg EC -groupname secp256r1 -dname CN=localhost -ext BC:c=ca:true -ext SAN=dns:localhost,ip:127.0.0.1 -validity 30"
check "keytool genkeypair EC P-384" "keytool -genkeypair $store -alias ec384 -keyalg EC -groupname secp384r1 -dname CN=ec384 -ext BC:c=ca:true -validity 30"
check "keytool list" "keytool -list $store | grep -c PrivateKeyEntry | grep -x 3"
for alias in rsa ec ec384; do
    check "keytool exportcert $alias" "keytool -exportcert $store -alias $alias -rfc >$alias.crt && openssl verify -CAfile $alias.crt $alias.crt"
    check "keytool certreq $alias" "keytool -certreq $store -alias $alias >$alias.csr && openssl req -in $alias.csr -verify -noout"
    check "keytool gencert $alias" "openssl req -new -newkey rsa:2048 -nodes -keyout leaf.pem -subj /CN=leaf -out leaf.csr && keytool -gencert $store -alias $alias -infile leaf.csr -rfc >issued.crt && openssl verify -partial_chain -CAfile $alias.crt issued.crt"
done
# SunPKCS11 itself does not write trusted certificates ("may only be set by token initialization application").
check "keytool importcert of an issued certificate" "keytool -certreq $store -alias ec384 >ec384.csr && openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.pem -subj /CN=ca -out ca.crt && openssl x509 -req -in ec384.csr -CA ca.crt -CAkey ca.pem -set_serial 5 -days 9 -out reply.crt && cat reply.crt ca.crt >chain.crt && keytool -importcert -noprompt $store -alias ec384 -file chain.crt && keytool -list -v $store -alias ec384 | grep 'Issuer: CN=ca'"
openssl req -x509 -newkey rsa:2048 -nodes -keyout other.pem -subj /CN=other -out other.crt 2>/dev/null
check "keytool genseckey AES" "keytool -genseckey $store -alias aes -keyalg AES -keysize 256 && keytool -list $store -alias aes | grep SecretKeyEntry"
check "keytool importkeystore" "openssl pkcs12 -export -inkey other.pem -in other.crt -name imported -passout pass:secret -out other.p12 && keytool -importkeystore -srckeystore other.p12 -srcstoretype PKCS12 -srcstorepass secret -destkeystore NONE -deststoretype PKCS11 -addprovider SunPKCS11 -providerArg $work/p11.cfg -deststorepass:env PIN && keytool -list $store -alias imported | grep PrivateKeyEntry"
check "keytool delete" "keytool -delete $store -alias aes && keytool -delete $store -alias imported && ! keytool -list $store -alias aes"
check "keytool changealias" "keytool -changealias $store -alias ec384 -destalias renamed && keytool -list $store -alias renamed && keytool -delete $store -alias renamed"
printf 'Pay 100 to Alice\n' >letter
check "jarsigner" "jar cf letter.jar letter && jarsigner $store letter.jar rsa && jarsigner -verify letter.jar | grep 'jar verified' && unzip -l letter.jar 2>/dev/null | grep . || jar tf letter.jar | grep META-INF/RSA.RSA"
check "jarsigner EC" "jar cf letter2.jar letter && jarsigner $store -sigfile EC letter2.jar ec && jarsigner -verify letter2.jar | grep 'jar verified'"

javac -d . "$interop/java/Interop.java" >javac.log 2>&1 || { cat javac.log; exit 3; }
timeout 600 java -cp . Interop p11.cfg "$PIN" >java.txt 2>java.log </dev/null
status=$?
while IFS=$'\t' read -r outcome name detail; do result "$outcome" "$name" "$detail"; done <java.txt
if [ $status = 0 ]; then result ok "the program ends"; else result fail "the program ends" "status $status: $(tail -n 10 java.log)"; fi
