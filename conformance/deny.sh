#!/bin/bash
# Licences, bans, sources and advisories of the crates that are linked in, by deny.toml. Installs cargo-deny where it
# is missing. Without a way to the advisory database it says that advisories were not checked; with
# DENY_ADVISORIES=required it fails then.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
command -v cargo-deny >/dev/null || "$cargo" install --locked cargo-deny

cargo-deny --offline check licenses bans sources
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if cargo-deny check advisories 2>"$log"; then
  echo "deny: advisories ok"
elif grep -q "failed to fetch advisory database" "$log"; then
  echo "deny: the advisory database cannot be fetched: advisories were NOT checked"
  [ "${DENY_ADVISORIES:-}" != required ]
else
  cat "$log"
  exit 1
fi
