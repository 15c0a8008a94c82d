# What the scripts kms-*.sh share: a daemon of their own, the CLI pointed at it, and assertions.
# Usage of a script: kms-NAME.sh [DIRECTORY-OF-THE-PROGRAMS]
set -euo pipefail
programs=$(cd "${1:-target/release}" && pwd)
home=$(mktemp -d)
daemon=
trap 'if [ -n "$daemon" ]; then kill "$daemon" 2>/dev/null || true; wait "$daemon" 2>/dev/null || true; fi; rm -rf "$home"' EXIT
cd "$home"

# start_daemon [SETTING...]: lines of the [kms] table of its configuration.
start_daemon() {
    mkdir -m 700 keys
    [ $# = 0 ] || { echo "[kms]"; printf '%s\n' "$@"; } > keys/clavigerd.toml
    "$programs/clavigerd" --dev "$home/keys" > ready 2> log &
    daemon=$!
    for _ in $(seq 600); do
        grep -sq ready ready && return
        kill -0 "$daemon" 2>/dev/null || break
        sleep 0.1
    done
    cat log >&2
    fail "the daemon does not start"
}
claviger() { "$programs/claviger" --socket "$home/keys/admin.sock" "$@"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
# is GOT WANTED WHAT
is() { [ "$1" = "$2" ] || fail "$3: '$1' instead of '$2'"; }
# does WORDS...: the verb succeeds; what it prints is not shown.
does() { claviger "$@" > said 2>&1 < /dev/null || { cat said >&2; fail "claviger $*"; }; }
# refused EXIT-CODE WORDS...
refused() {
    local want=$1 code=0
    shift
    claviger "$@" > said 2>&1 < /dev/null || code=$?
    [ "$code" = "$want" ] || { cat said >&2; fail "claviger $*: exit $code instead of $want"; }
}
# says TEXT: what the last verb of does or refused printed has this in it.
says() { grep -qF -e "$1" said || { cat said >&2; fail "this does not say '$1'"; }; }
# value FIELD WORDS...: one field of an answer.
value() { local field=$1; shift; claviger "$@" --format "value($field)"; }
count() { wc -l | tr -d ' '; }
