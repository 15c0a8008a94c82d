#!/bin/bash
# Destroying and restoring key versions, step by step as Google's guide tells it.
# DST-01 DST-02 DST-03 DST-04 DST-09 DST-10 DST-11 DST-12 DST-13 DST-14 DST-15 DST-18 DST-19 DST-21 DST-22 DST-25 STA-01
# STA-15 STA-16 USE-01 AUD-05 AUD-06
source "$(dirname "$0")/guide.lib.sh"
start_daemon 'min_destroy_scheduled_duration = "2d"'
state() { value state keys versions describe "$1" --keyring ring --key key; }
due() { value destroyTime keys versions describe "$1" --keyring ring --key key; }

# A key waits 30 days, unless it was made with another duration, which the configuration bounds and nothing changes.
does keyrings create ring
does keys create key --keyring ring --purpose encryption
is "$(value destroyScheduledDuration keys describe key --keyring ring)" 2592000s "the default is 30 days, not 24 hours"
does keys create short --keyring ring --purpose encryption --destroy-scheduled-duration 2d
is "$(value destroyScheduledDuration keys describe short --keyring ring)" 172800s "a duration of its own"
refused 2 keys create shorter --keyring ring --purpose encryption --destroy-scheduled-duration 24h
refused 2 keys create longer --keyring ring --purpose encryption --destroy-scheduled-duration 121d
refused 2 keys update short --keyring ring --destroy-scheduled-duration 3d
does keys versions create --keyring ring --key key

# Before: who uses it, what would be lost; what it protects is encrypted anew, then it is disabled and watched.
echo text > text
does encrypt --keyring ring --key key --version 2 --plaintext-file text --ciphertext-file two
claviger keys versions preflight 2 --keyring ring --key key --format json > preflight
for word in lastUseTime lastUsePrincipal destroyTime warning; do grep -q "\"$word\"" preflight || fail "preflight: $word"; done
grep -q 'never be read again' preflight || fail "preflight does not say what is lost"
is "$(value lastUseOperation keys usage key --keyring ring)" Encrypt "usage"
does reencrypt --ciphertext-file two --output-file one
does keys versions disable 2 --keyring ring --key key
refused 7 decrypt --ciphertext-file two
says 'current state is: DISABLED.'
[ "$(claviger audit list --operation Decrypt --result FAILED_PRECONDITION --format 'value(eventId)' | count)" -ge 1 ] ||
    fail "the denied use is not recorded"
does keys versions enable 2 --keyring ring --key key

# Destroy asks, and does not happen without an answer.
refused 11 keys versions destroy 2 --keyring ring --key key
refused 12 keys versions destroy 2 --keyring ring --key key --quiet
is "$(state 2)" ENABLED "nothing was done"
does keys versions destroy 2 --keyring ring --key key --yes
is "$(state 2)" DESTROY_SCHEDULED "destroy"
is "$(date -ud "$(due 2)" +%F)" "$(date -ud '+30 days' +%F)" "destroy time"
claviger keys versions list --keyring ring --key key | grep -q 'Destroy scheduled' || fail "the state in words"
refused 7 keys versions enable 2 --keyring ring --key key
refused 7 keys versions destroy 2 --keyring ring --key key --yes
# A use is refused, and somebody hears of it; so they do of the schedule.
refused 7 decrypt --ciphertext-file two
says 'DESTROY_SCHEDULED'
for event in DESTRUCTION_SCHEDULED SCHEDULED_KEY_USE_ATTEMPT; do
    is "$(claviger audit list --operation Event.$event --format 'value(eventId)' | count)" 1 "$event"
done
# The other version is as it was.
does decrypt --ciphertext-file one --plaintext-file opened
cmp text opened

# Restore, then enable.
does keys versions restore 2 --keyring ring --key key
is "$(state 2)" DISABLED "restore"
is "$(due 2)" "" "no destroy time any more"
refused 7 decrypt --ciphertext-file two
refused 7 keys versions restore 2 --keyring ring --key key
does keys versions enable 2 --keyring ring --key key
is "$(state 2)" ENABLED "enable"
does decrypt --ciphertext-file two --plaintext-file opened
cmp text opened

# Several at once, and one that does not exist among them.
refused 7 keys versions destroy 1 2 9 --keyring ring --key key --yes
is "$(state 1) $(state 2)" "DESTROY_SCHEDULED DESTROY_SCHEDULED" "several"
does keys versions restore 1 2 --keyring ring --key key
is "$(claviger audit list --operation Event.RESTORED --format 'value(eventId)' | count)" 3 "events"
does audit verify
echo "destroy and restore: all steps held"
