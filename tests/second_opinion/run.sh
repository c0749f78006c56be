#!/usr/bin/env bash
# The second opinion: the product against an AWS stand-in that others wrote, moto (pinned in .ci/requirements.txt). First the
# end-to-end scenarios, on moto and on the product's own sandbox; then the templates, deployed to moto and taken down again.
# Each part starts and stops its own servers, on loopback ports that are free. Exits 1 if anything failed.
#
# Needs Python with .ci/requirements.txt on the PATH, as .ci/run sets it up, and the release build.
set -euo pipefail
cd "$(dirname "$0")"

# Fewer writes into the source tree.
export PYTHONDONTWRITEBYTECODE=1

status=0
# The name of a part, and the arguments of a program that says each check on a line that begins with "ok" or "FAILED".
part() {
  local name=$1 began=$SECONDS verdict=ok
  shift
  printf '\n-- %s\n' "$name"
  if ! "$@"; then
    verdict=FAILED
    status=1
  fi
  printf -- '-- %s: %s, %d s\n' "$name" "$verdict" $((SECONDS - began))
}

part "scenarios" python3 scenarios.py
part "templates" python3 deploy.py
exit "$status"
