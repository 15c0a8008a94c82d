#!/bin/bash
# python-pkcs11's own test suite, from its source package, against the built module. The suite skips a test whose
# mechanisms the token does not list. The tests that it keeps for SoftHSM2 (init_token and others) run in a second
# pass, in which the module has SoftHSM2's file name.
. "$(dirname "$0")/../lib.sh"
packages python3-venv openssl
venv=$(python_venv python-pkcs11 pytest asn1crypto cryptography parameterized) || unavailable "cannot install python-pkcs11"
version=$("$venv/bin/pip" show python-pkcs11 | sed -n 's/^Version: //p')
tree=$(python_source python_pkcs11 "$version") || unavailable "cannot get the source of python-pkcs11 $version"
# Only the tests: the package itself is the installed one.
cp -r "$tree/tests" tests
ln -s "$module" libsofthsm2.so
suite() {
    start_daemon
    token interop --profile legacy
    PKCS11_MODULE=$1 PKCS11_TOKEN_LABEL=interop PKCS11_TOKEN_PIN=$PIN PKCS11_TOKEN_SO_PIN=$SO_PIN PYTHONDONTWRITEBYTECODE=1 \
        timeout 900 "$venv/bin/python" -m pytest -p no:cacheprovider --tb=short --junitxml "$2.xml" "${@:3}" tests >"$2.log" 2>&1
}
suite "$module" plain
suite "$work/libsofthsm2.so" softhsm
python3 "$interop/junit.py" plain.xml >plain.txt || { cat plain.log; exit 3; }
python3 "$interop/junit.py" softhsm.xml >softhsm.txt || { cat softhsm.log; exit 3; }
while IFS=$'\t' read -r outcome name detail; do
    if [ "$outcome" = skip ] && [[ $detail == *"SoftHSMv2 only"* ]]; then
        IFS=$'\t' read -r outcome _ detail < <(grep -F "	$name	" softhsm.txt)
    fi
    result "$outcome" "$name" "$detail"
done <plain.txt
