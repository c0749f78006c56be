#!/usr/bin/env bash
# The second opinion: the product against an AWS stand-in that others wrote, moto (pinned in .ci/requirements.txt). What it is and what
# it found: docs/second-opinion.md. Four parts, each with servers of its own on free loopback ports, which it stops again:
#
#   answers    single calls at their edges, to moto and to the product's sandbox
#   scenarios  end to end, on moto and on the sandbox: the same preparation, the same endings
#   peer       the report's keys beside those that Cloud Custodian finds, on moto and on the sandbox
#   templates  deployed to moto by deploy.sh, worked with, and taken down by cleanup.sh
#
# Needs Python with .ci/requirements.txt first on the PATH, as .ci/run sets it up, and the release build (BIN=… where it is elsewhere).
# Cloud Custodian (peer.txt) is wanted on the PATH or in CUSTODIAN. Exits 1 if anything failed.
set -euo pipefail
cd "$(dirname "$0")"
export PYTHONDONTWRITEBYTECODE=1

place=$(mktemp -d)
# shellcheck disable=SC2329 # by the trap
stop() {
  local jobs
  mapfile -t jobs < <(jobs -p)
  # Python parts end their servers when they are told to end.
  if ((${#jobs[@]} > 0)); then
    kill "${jobs[@]}" 2>/dev/null || true
    wait || true
  fi
  rm -rf "$place"
}
trap stop EXIT
trap 'exit 130' INT TERM

status=0
# The end of a part: its name and its exit status.
ended() {
  local verdict=ok
  if (($2 != 0)); then
    verdict=FAILED
    status=1
  fi
  printf -- '-- %s: %s, after %d s\n' "$1" "$verdict" "$SECONDS"
}

# Mostly waits for the aws command line to start: beside the others.
python3 deploy.py >"$place/templates" 2>&1 &
templates=$!

for part in answers scenarios peer; do
  printf '\n-- %s\n' "$part"
  code=0
  # In the background and waited for, so that a signal ends it at once.
  python3 "$part.py" &
  wait $! || code=$?
  ended "$part" "$code"
done

printf '\n-- templates\n'
code=0
wait "$templates" || code=$?
cat "$place/templates"
ended templates "$code"
exit "$status"
