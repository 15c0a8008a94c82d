#!/bin/bash
# Keys wrapped for import by a second implementation, the `cryptography` package of Python, through every method;
# ML-DSA, ML-KEM and SM4 against it.
# IMP-05 IMP-14 IMP-21 IMP-22 IMP-29 IMP-36
source "$(dirname "$0")/../lib.sh"
packages python3 python3-venv
venv=$(python_venv 'cryptography>=47') || unavailable "cannot install cryptography"
start_daemon
export CLAVIGER=$release/claviger CLAVIGER_ADMIN_SOCKET=$work/keys/admin.sock
for script in wrap pqc; do
    while IFS=$'\t' read -r verdict name detail; do result "$verdict" "$name" "$detail"; done \
        < <("$venv/bin/python" "$interop/kms-import/$script.py")
done
[ "$passed" -ge 140 ] || result fail "the script went through" "only $passed checks passed"
