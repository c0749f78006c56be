#!/usr/bin/env bash
# The image's contents under the image's rules, without a container engine: the two programs over Debian's C library, CA certificates
# and time zones and nothing else, as user 65532, with no capability and no way to get one, on a file system that cannot be written.
# A producer and a worker in it do a day's work on a sandbox outside.
#
# It shows that the programs need nothing that the image does not have. It does not show the Dockerfile itself, the base image
# that it takes from its registry, or the build for arm64 (a job of ci.yml builds it). Needs root and Debian's package archive; says so
# where it has neither. On GitHub, which has both, that is a failure.
# What is called through `check` is called.
# shellcheck disable=SC2329
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly BUILT=${CARGO_TARGET_DIR:-$PWD/target}/release

# not_shown WHY: ends it
not_shown() {
    echo "not shown here: $1"
    [[ -z ${GITHUB_ACTIONS:-} ]] || exit 1
    exit 0
}

if [[ -n ${GITHUB_ACTIONS:-} ]] && ((EUID != 0)); then
    exec sudo --preserve-env=CARGO_TARGET_DIR,GITHUB_ACTIONS tests/image/run.sh
fi
if ((EUID != 0)) || ! command -v dpkg-deb apt-get unshare setpriv >/dev/null; then
    not_shown "it takes root, Debian's packages, unshare and setpriv"
fi
work=$(mktemp -d)
# What apt fetches, it fetches as a user of its own.
chmod 755 "$work"
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{usr/local/bin,etc/ssl/certs,tmp} "$work/packages"

# A runner of GitHub's comes with lists that are days old: what they name may be gone.
[[ -z ${GITHUB_ACTIONS:-} ]] || apt-get update -qq

# What gcr.io/distroless/cc-debian12 is made of, as far as the programs can see it.
(cd "$work/packages" && apt-get download -qq libc6 libgcc-s1 ca-certificates tzdata netbase) ||
    not_shown "Debian's packages cannot be fetched"
for package in "$work"/packages/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink
done
cat "$root"/usr/share/ca-certificates/mozilla/*.crt > "$root/etc/ssl/certs/ca-certificates.crt"
printf 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' > "$root/etc/passwd"
install -t "$root/usr/local/bin" "$BUILT/producer" "$BUILT/worker"
[[ -e $root/lib64 ]] || ln -s usr/lib64 "$root/lib64"
echo "contents: $(du -sm "$root" | cut -f1) MB, of them the programs $(du -cm "$BUILT/producer" "$BUILT/worker" | tail -1 | cut -f1) MB"

# exec_inside PROGRAM [ARGUMENT]...: becomes it, as a task would run it; inside: runs it
exec_inside() {
    # shellcheck disable=SC2016 # for the inner shell
    exec unshare --mount bash -c 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" &&
        exec setpriv --no-new-privs unshare --root="$0" --wd=/ --setgid=65532 --setuid=65532 -- "$@"' "$root" "$@"
}
inside() { (exec_inside "$@"); }

failed=0
check() {
    if "${@:2}"; then echo "ok: $1"; else echo "FAILED: $1"; failed=1; fi
}

check "the worker starts" inside /usr/local/bin/worker --version
check "the producer starts" inside /usr/local/bin/producer --version

# Of a worker that runs: who it is, and what it may.
"$BUILT/sandbox" serve --port 0 --accounts 2 --users-per-account 3 > "$work/sandbox.env" &
for _ in {1..300}; do
    [[ $(cat "$work/sandbox.env") != *SENDER_EMAIL* ]] || break
    sleep 0.1
done
# shellcheck source=/dev/null
. "$work/sandbox.env"
(exec_inside /usr/local/bin/worker 2> "$work/worker.log") &
worker=$!
for _ in {1..300}; do
    status=$(cat "/proc/$worker/status" 2>/dev/null || true)
    [[ $status != *Uid:*65532* ]] || break
    sleep 0.1
done
is() { [[ $status =~ $1 ]]; }
check "it is user 65532" is $'Uid:\t65532\t65532\t65532\t65532'
check "it has no capability" is $'CapPrm:\t0+\nCapEff:\t0+\n'
check "it can gain none" is $'NoNewPrivs:\t1'
kill "$worker"
check "it stops when told to" wait "$worker"

preview() { ! inside /usr/local/bin/worker preview-mail --out /tmp/mails > "$work/preview.log" 2>&1; }
check "nothing can be written" preview
says() { [[ $(cat "$work/preview.log") == *"Read-only file system"* ]]; }
check "and it says why" says

check "a producer schedules" inside /usr/local/bin/producer schedule
check "a worker does the work" inside /usr/local/bin/worker --drain
exit "$failed"
