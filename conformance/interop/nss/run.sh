#!/bin/bash
# NSS: modutil, certutil, cmsutil, signver and pk12util with the token beside NSS's own. openssl checks the results.
. "$(dirname "$0")/../lib.sh"
packages libnss3-tools opensc openssl
start_daemon
token nss
printf '%s\n' "$PIN" >pin
head -c 64 /dev/urandom >noise
mkdir db
printf 'Pay 100 to Alice\n' >letter
check "new database" "certutil -d sql:db -N --empty-password"
check "modutil -add" "modutil -dbdir sql:db -add claviger -libfile $module -force"
check "modutil -list" "modutil -dbdir sql:db -list claviger | grep -i 'token name: nss'"
p="-d sql:db -h nss -f pin"
check "CA on the token, RSA" "certutil $p -S -s 'CN=CA' -x -n ca -t CTu,Cu,Cu -k rsa -g 2048 -z noise -v 12 -m 1 -2 <<<\$'y\\n\\ny\\n'"
n=2
for curve in nistp256 nistp384 nistp521; do
    check "certificate by that CA, $curve" "certutil $p -S -s 'CN=$curve' -c nss:ca -n $curve -t u,u,u -k ec -q $curve -z noise -v 12 -m $n"
    check "openssl verifies it, $curve" "certutil $p -L -n nss:$curve -a >$curve.crt && certutil $p -L -n nss:ca -a >ca.crt && openssl verify -CAfile ca.crt $curve.crt"
    n=$((n + 1))
done
check "request with an RSA key" "certutil $p -R -s 'CN=request' -k rsa -g 3072 -z noise -a -o r.csr && openssl req -in r.csr -verify -noout"
check "list keys" "[ \$(certutil $p -K | grep -c 'rsa\\|ec') -ge 5 ]"
check "list certificates" "certutil $p -L -h nss | grep nistp256"
for name in ca nistp256 nistp384; do
    check "cmsutil signs with $name" "cmsutil -d sql:db -f pin -S -N nss:$name -i letter -o letter.$name && openssl cms -verify -inform DER -in letter.$name -CAfile ca.crt -purpose any -out opened && cmp letter opened"
done
check "cmsutil decrypts" "certutil -d sql:db -A -n receiver -t P,P,P -a -i ca.crt; openssl cms -encrypt -aes128 -in letter -binary -outform DER -out letter.env ca.crt && cmsutil -d sql:db -f pin -D -i letter.env -o opened && cmp letter opened"
check "pk12util imports" "openssl req -x509 -newkey rsa:2048 -nodes -keyout o.key -out o.crt -subj /CN=other -days 9 2>/dev/null && openssl pkcs12 -export -inkey o.key -in o.crt -name other -passout pass:pw -out o.p12 && pk12util -d sql:db -h nss -k pin -i o.p12 -W pw && id=\$(certutil \$p -K | sed -n 's/.* \\([0-9a-f]\\{40\\}\\) .*other.*/\\1/p') && certutil $p -R -k \$id -s CN=again -a -o again.csr && openssl req -in again.csr -verify -noout && cmp <(openssl req -in again.csr -pubkey -noout) <(openssl x509 -in o.crt -pubkey -noout)"
check "delete a key with its certificate" "certutil $p -F -n nss:nistp521 && ! certutil $p -L -h nss | grep nistp521"
check "modutil -delete" "modutil -dbdir sql:db -delete claviger -force"
