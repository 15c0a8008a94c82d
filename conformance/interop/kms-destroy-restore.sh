#!/bin/bash
# Destroying and restoring key versions, step by step as Google's guide tells it, against a daemon of its own.
# DST-01 DST-02 DST-03 DST-09 DST-11 DST-12 DST-14 DST-15 DST-22 STA-16
# Usage: kms-destroy-restore.sh DIRECTORY-OF-THE-PROGRAMS
set -euo pipefail
programs=${1:-target/release}
home=$(mktemp -d)
"$programs/clavigerd" --dev "$home/keys" > "$home/ready" 2> "$home/log" &
daemon=$!
trap 'kill "$daemon" 2>/dev/null || true; wait "$daemon" 2>/dev/null || true; rm -rf "$home"' EXIT
for _ in $(seq 100); do grep -q ready "$home/ready" && break; sleep 0.1; done

claviger() { "$programs/claviger" --socket "$home/keys/admin.sock" "$@"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
is() { [ "$1" = "$2" ] || fail "$3: $1 instead of $2"; }
state() { claviger keys versions describe "$1" --keyring ring --key key --format 'value(state)'; }

claviger -q keyrings create ring > /dev/null
claviger keys create key --keyring ring --purpose encryption > /dev/null
is "$(claviger keys describe key --keyring ring --format 'value(destroyScheduledDuration)')" 2592000s "the default is 30 days"
claviger keys create short --keyring ring --purpose encryption --destroy-scheduled-duration 2d > /dev/null
is "$(claviger keys describe short --keyring ring --format 'value(destroyScheduledDuration)')" 172800s "a duration of its own"
claviger keys versions create --keyring ring --key key > /dev/null

# Before: what would be lost.
claviger keys versions preflight 2 --keyring ring --key key --format json | grep -q destroyTime || fail preflight

# Destroy asks, and does not happen without an answer.
code=0; claviger keys versions destroy 2 --keyring ring --key key 2> /dev/null < /dev/null || code=$?
is "$code" 11 "destroy without a terminal"
is "$(state 2)" ENABLED "nothing was done"
claviger keys versions destroy 2 --keyring ring --key key --yes > /dev/null
is "$(state 2)" DESTROY_SCHEDULED "destroy"
due=$(claviger keys versions describe 2 --keyring ring --key key --format 'value(destroyTime)')
is "$(date -ud "$due" +%F)" "$(date -ud '+30 days' +%F)" "destroy time"
code=0; claviger keys versions enable 2 --keyring ring --key key > /dev/null 2>&1 || code=$?
is "$code" 7 "a scheduled version cannot be enabled"

# Restore, then enable.
claviger keys versions restore 2 --keyring ring --key key > /dev/null
is "$(state 2)" DISABLED "restore"
claviger keys versions enable 2 --keyring ring --key key > /dev/null
is "$(state 2)" ENABLED "enable"

# Several at once.
claviger keys versions destroy 1 2 --keyring ring --key key --yes > /dev/null
is "$(state 1) $(state 2)" "DESTROY_SCHEDULED DESTROY_SCHEDULED" "several"
claviger keys versions restore 1 2 --keyring ring --key key > /dev/null
is "$(claviger audit list --operation Event.RESTORED --format 'value(eventId)' | wc -l)" 3 "events"
echo "destroy and restore: all steps held"
