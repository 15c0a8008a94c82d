#!/bin/bash
# PyKCS11's own test suite, from its source package, against the built module. The suite asks for SoftHSM's name
# before it tests RSA-OAEP, PSS, ECDSA, key generation, wrapping and more; identity.py answers so to those tests.
. "$(dirname "$0")/../lib.sh"
packages python3-venv swig g++
SO_PIN=123456
venv=$(python_venv PyKCS11 pytest asn1crypto) || unavailable "cannot install PyKCS11"
version=$("$venv/bin/pip" show PyKCS11 | sed -n 's/^Version: //p')
tree=$(python_source PyKCS11 "$version") || unavailable "cannot get the source of PyKCS11 $version"
cp -r "$tree/test" test
cp "$interop/pykcs11/identity.py" .
for file in test/test_*.py; do
    # A daemon for each file: some change PINs or initialise the token.
    start_daemon
    token interop --profile legacy
    name=$(basename "$file" .py)
    PYKCS11LIB=$module PYTHONPATH=$work PYTHONDONTWRITEBYTECODE=1 timeout 300 "$venv/bin/python" -m pytest -p identity -p no:cacheprovider --tb=short \
        --junitxml "$name.xml" "$file" >"$name.log" 2>&1
    python3 "$interop/junit.py" "$name.xml" >"$name.txt" || { cat "$name.log"; result fail "$name" "no report"; continue; }
    while IFS=$'\t' read -r outcome test detail; do result "$outcome" "$test" "$detail"; done <"$name.txt"
done
