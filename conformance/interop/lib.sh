# Sourced by every client's run.sh: a daemon and a token of its own, checks that are counted, waivers, packages.
# Variables: $interop (this directory), $client (the caller's directory), $work (temporary), $module, $PIN, $SO_PIN.
set -uo pipefail

interop=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
client=$(basename "$(cd "$(dirname "$0")" && pwd)")
release=${CLAVIGER_RELEASE:-$(cd "$interop/../.." && pwd)/target/release}
module=$release/libclaviger_pkcs11.so
# What is downloaded or built from other projects is kept here between runs, outside the repository.
cache=${CLAVIGER_CACHE:-/var/cache/claviger}
PIN=1234 SO_PIN=12345678
export PIN SO_PIN module

umask 077
work=$(mktemp -d "${TMPDIR:-/tmp}/claviger-interop.XXXXXX")
# Every call that goes through the module, by whichever program, and what it returned: for functions.py.
export CLAVIGER_MODULE_LOG=$work/calls
daemon= passed=0 failed=0 waived=0 skipped=0

finish() {
    local status=$?
    trap - EXIT
    stop_daemon
    if [ "$status" != 0 ]; then result fail "the script ends" "exit status $status"; fi
    if [ -s "$work/calls" ]; then
        sed -n 's/^claviger-pkcs11\[[0-9]*\]: \(C_[A-Za-z0-9]*\) = \([A-Za-z_0-9]*\) .*/\1 \2/p' "$work/calls" | sort -u \
            >"${INTEROP_RESULTS:-$work}/$client.calls"
    fi
    printf '%s %d %d %d %d\n' "$client" "$passed" "$failed" "$waived" "$skipped" >"${INTEROP_RESULTS:-$work}/$client"
    printf '%s: %d passed, %d failed, %d waived, %d skipped\n' "$client" "$passed" "$failed" "$waived" "$skipped"
    cd /
    rm -rf "$work"
    exit $((failed > 0))
}
trap finish EXIT
trap 'exit 130' INT TERM

# result ok|fail|skip NAME [DETAIL]: counts and prints one check. A failure that waivers.md names is waived.
result() {
    case $1 in
    ok) passed=$((passed + 1)); printf 'ok       %s: %s\n' "$client" "$2" ;;
    skip) skipped=$((skipped + 1)); printf 'skipped  %s: %s%s\n' "$client" "$2" "${3:+ ($3)}" ;;
    *)
        if grep -qF -e "- \`$client: $2\`" "$interop/waivers.md"; then
            waived=$((waived + 1)); printf 'waived   %s: %s\n' "$client" "$2"
        else
            failed=$((failed + 1)); printf 'FAILED   %s: %s\n' "$client" "$2"
            [ -z "${3:-}" ] || printf '%s\n' "$3" | tail -n 30 | sed 's/^/           /'
        fi ;;
    esac
}

# check NAME COMMAND: the command (a string, run by bash with pipefail, so no grep -q) must succeed.
check() {
    local said
    if said=$(set -e; eval "$2" 2>&1 </dev/null); then result ok "$1"; else result fail "$1" "$said"; fi
}
# refuse NAME TEXT COMMAND: the command must fail and say TEXT.
refuse() {
    local said
    if said=$(eval "$3" 2>&1 </dev/null); then
        result fail "$1" "this should have been refused: $said"
    elif grep -q -e "$2" <<<"$said"; then result ok "$1"; else result fail "$1" "$said"; fi
}
skip() { result skip "$@"; }

# Gives up on this client: everything it would have shown is one skipped check. Not a failure of the product.
unavailable() { skip "all" "$1"; exit 0; }

# packages NAME...: installs what is missing (as root, Debian and its kin).
packages() {
    local missing=() package
    for package; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >"$work/apt.log" 2>&1 ||
        { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"; } \
            >"$work/apt.log" 2>&1 || unavailable "cannot install ${missing[*]}"
}

# debian_source PACKAGE: unpacks the upstream part of a Debian source package below $cache and prints the directory.
# Source lines stand only in a temporary apt configuration made from the machine's own.
debian_source() {
    local package=$1 here=$cache/source/$1
    if [ ! -e "$here/.complete" ]; then
        rm -rf "$here"; mkdir -p "$here/apt/parts" "$here/apt/lists/partial" "$here/apt/cache"
        cp /etc/apt/sources.list.d/*.sources "$here/apt/parts/" 2>/dev/null
        cp /etc/apt/sources.list.d/*.list /etc/apt/sources.list "$here/apt/parts/" 2>/dev/null
        sed -i 's/^Types:.*/Types: deb-src/' "$here"/apt/parts/*.sources 2>/dev/null
        sed -i 's/^deb /deb-src /' "$here"/apt/parts/*list 2>/dev/null
        local options=(-q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$here/apt/parts"
            -o "Dir::State::lists=$here/apt/lists" -o "Dir::Cache=$here/apt/cache" -o APT::Sandbox::User=root)
        ( cd "$here" && apt-get "${options[@]}" update && apt-get "${options[@]}" --download-only --tar-only source "$package" &&
            mkdir tree && tar xf ./*.orig.tar.* -C tree --strip-components=1 && touch .complete ) >"$work/source.log" 2>&1 || return 1
    fi
    printf '%s\n' "$here/tree"
}

# python_venv REQUIREMENT...: a venv below $cache with these packages; prints its directory.
python_venv() {
    local here=$cache/venv/$client
    if [ ! -e "$here/.complete" ]; then
        rm -rf "$here"; mkdir -p "$cache/venv"
        { python3 -m venv "$here" && "$here/bin/pip" install -q "$@" && touch "$here/.complete"; } >"$work/pip.log" 2>&1 || return 1
    fi
    printf '%s\n' "$here"
}
# python_source PACKAGE VERSION: unpacks the sdist of exactly the installed version; prints the directory.
python_source() {
    local here=$cache/source/$1-$2
    if [ ! -e "$here/.complete" ]; then
        rm -rf "$here"; mkdir -p "$here/tree"
        { "$cache/venv/$client/bin/pip" download -q --no-deps --no-binary "$1" -d "$here" "$1==$2" &&
            tar xf "$here"/*.tar.gz -C "$here/tree" --strip-components=1 && touch "$here/.complete"; } >"$work/pip.log" 2>&1 || return 1
    fi
    printf '%s\n' "$here/tree"
}

# start_daemon: a daemon with an empty store in $work/keys; a running one is stopped first.
start_daemon() {
    stop_daemon
    rm -rf "$work/keys"
    : >"$work/daemon.out"
    "$release/clavigerd" --dev "$work/keys" >"$work/daemon.out" 2>>"$work/daemon.log" &
    daemon=$!
    for _ in $(seq 300); do
        grep -qx ready "$work/daemon.out" && break
        kill -0 "$daemon" 2>/dev/null || { cat "$work/daemon.log"; daemon=; exit 2; }
        sleep 0.1
    done
    export CLAVIGER_SOCKET=$work/keys/pkcs11.sock
}
stop_daemon() {
    [ -n "$daemon" ] || return 0
    kill "$daemon" 2>/dev/null
    wait "$daemon" 2>/dev/null
    daemon=
}
# token LABEL [OPTION...]: a key ring with this token label, the PINs $PIN and $SO_PIN; objects really go when destroyed.
token() {
    local label=$1; shift
    printf %s "$SO_PIN" >"$work/so.pin"
    printf %s "$PIN" >"$work/user.pin"
    "$release/claviger" --socket "$work/keys/admin.sock" keyrings create "$(tr -c 'A-Za-z0-9\n' '-' <<<"$label")" \
        --token-label "$label" --so-pin-file "$work/so.pin" --user-pin-file "$work/user.pin" --p11-destroy immediate \
        --quiet "$@" >/dev/null || exit 2
}

# engine_config: $work/engine.cnf, in which OpenSSL 3.0 has libp11's engine with the module; more sections may follow.
engine_config() {
    cat >engine.cnf <<END
openssl_conf = init
[init]
engines = engines
[engines]
pkcs11 = pkcs11
[pkcs11]
engine_id = pkcs11
dynamic_path = $(ls /usr/lib/*/engines-3/pkcs11.so | head -n 1)
MODULE_PATH = $module
PIN = $PIN
[req]
distinguished_name = dn
[dn]
END
}

# export_ec CURVE LABEL FILE TOKEN: writes a public EC key as PEM. pkcs11-tool 0.23 itself cannot read one of 384 bits
# ("cannot create EVP_PKEY", with SoftHSM2 too), but it prints the point.
export_ec() {
    local point
    point=$(pkcs11-tool --module "$module" -O -y pubkey --login --pin env:PIN --token-label "$4" 2>/dev/null |
        awk -v label="$2" '$1 == "EC_POINT:" { point = $2 } $1 == "label:" && $2 == label { print point; exit }')
    case $point in 0481*) point=${point:6} ;; *) point=${point:4} ;; esac
    printf 'asn1=SEQUENCE:s\n[s]\na=SEQUENCE:a\nk=FORMAT:HEX,BITSTRING:%s\n[a]\no=OID:id-ecPublicKey\nc=OID:%s\n' "$point" "$1" >spki.cnf
    openssl asn1parse -genconf spki.cnf -noout -out spki.der && openssl pkey -pubin -inform DER -in spki.der -out "$3"
}

# lists NAME: true when the token lists this mechanism, as pkcs11-tool spells it.
lists() {
    [ -s "$work/mechanisms" ] || pkcs11-tool --module "$module" --slot-index 0 -M 2>/dev/null | sed -n 's/^  \([^,]*\),.*/\1/p' >"$work/mechanisms"
    grep -qx -e "$1" "$work/mechanisms"
}
# needs NAME CHECK: true when the token lists the mechanism; else the check is skipped, with its name.
needs() { lists "$1" || { skip "$2" "the token does not list $1"; return 1; }; }

cd "$work"
