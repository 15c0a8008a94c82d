#!/bin/bash
# nginx with keys of the token: its workers are forked from a master that has loaded the module.
. "$(dirname "$0")/../lib.sh"
packages nginx-light openssl libengine-pkcs11-openssl opensc curl
start_daemon
token web
p11="pkcs11-tool --module $module --token-label web --login --pin env:PIN"
engine_config
cat >>engine.cnf <<END
[leaf]
subjectAltName = DNS:localhost
END
port=$((20000 + RANDOM % 20000))
check "keys" "$p11 -k --key-type rsa:2048 --id 01 --label rsa --usage-sign && $p11 -k --key-type EC:prime256v1 --id 02 --label ec --usage-sign"
for key in rsa ec; do
    check "certificate of $key" "OPENSSL_CONF=$work/engine.cnf openssl req -new -x509 -engine pkcs11 -keyform engine -key 'pkcs11:token=web;object=$key;type=private' -subj /CN=localhost -extensions leaf -days 9 -out $key.crt"
done
mkdir -p logs tmp
cat >nginx.conf <<END
user $(id -un);
worker_processes 4;
pid $work/nginx.pid;
error_log $work/logs/error.log info;
ssl_engine pkcs11;
env CLAVIGER_SOCKET;
env OPENSSL_CONF;
env CLAVIGER_MODULE_LOG;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path $work/tmp; proxy_temp_path $work/tmp; fastcgi_temp_path $work/tmp; uwsgi_temp_path $work/tmp; scgi_temp_path $work/tmp;
    ssl_session_cache off; ssl_session_tickets off;
    server {
        listen 127.0.0.1:$port ssl;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate $work/rsa.crt; ssl_certificate_key "engine:pkcs11:pkcs11:token=web;object=rsa;type=private";
        ssl_certificate $work/ec.crt; ssl_certificate_key "engine:pkcs11:pkcs11:token=web;object=ec;type=private";
        location / { return 200 "served\n"; }
    }
}
END
nginx() { OPENSSL_CONF=$work/engine.cnf /usr/sbin/nginx -p "$work" -c "$work/nginx.conf" "$@"; }
trap 'kill "$(cat "$work/nginx.pid" 2>/dev/null)" 2>/dev/null; sleep 0.3; finish' EXIT
check "nginx -t" "nginx -t"
check "nginx starts" "nginx && for i in \$(seq 50); do [ -s nginx.pid ] && break; sleep 0.1; done && [ -s nginx.pid ]"
get() { curl -sS --noproxy '*' --cacert "$work/$1.crt" --resolve "localhost:$port:127.0.0.1" "${@:2}" "https://localhost:$port/"; }
check "TLS 1.3 with the EC key" "[ \"\$(get ec --tlsv1.3)\" = served ]"
check "TLS 1.2 with the EC key" "[ \"\$(get ec --tls-max 1.2 --ciphers ECDHE-ECDSA-AES128-GCM-SHA256)\" = served ]"
check "TLS 1.2 with the RSA key" "[ \"\$(get rsa --tls-max 1.2 --ciphers ECDHE-RSA-AES128-GCM-SHA256)\" = served ]"
check "200 handshakes over four workers" "for i in \$(seq 100); do get ec >/dev/null & get rsa --tls-max 1.2 --ciphers ECDHE-RSA-AES128-GCM-SHA256 >/dev/null & wait -n; done; wait; [ \"\$(get ec)\" = served ]"
check "reload" "nginx -s reload && sleep 1 && [ \"\$(get ec)\" = served ]"
workers() { pgrep -P "$(cat nginx.pid)" | sort | tr '\n' ' '; }
check "a worker that was killed is replaced, and signs" "before=\$(workers) && kill -9 \${before%% *} && sleep 1 && for i in 1 2 3 4 5 6 7 8; do [ \"\$(get ec)\" = served ] || exit 1; done"
kill "$daemon"; wait "$daemon" 2>/dev/null
"$release/clavigerd" --dev "$work/keys" >"$work/daemon.out" 2>>"$work/daemon.log" & daemon=$!
for _ in $(seq 100); do grep -qx ready "$work/daemon.out" && break; sleep 0.1; done
check "nginx signs after the daemon was restarted" "for i in 1 2 3 4 5 6 7 8; do [ \"\$(get ec)\" = served ] || exit 1; done"
