# The image that the fleet is to run: the one it runs, one that is named, or one that is built from this checkout. Sourced, not run.
# shellcheck shell=bash
# What is not set here is set by common.sh, settings.sh and deploy.sh.
# shellcheck disable=SC2034,SC2154

# What the image is made of.
readonly SOURCES=(Cargo.toml Cargo.lock Dockerfile aws producer rotation worker templates)

# choose_image: asks for the image, or leaves `build` set, where one is to be built. Before anything is done.
choose_image() {
    local named=$image
    # A variable that is left over from another day exchanges no image that runs.
    [[ -n $named || -n ${running[ImageUri]-} ]] || named=${IMAGE_URI-}
    architecture=${asked[CpuArchitecture]-${running[CpuArchitecture]-${defaults[fleet.yaml CpuArchitecture]}}}
    case $architecture in
    X86_64) platform=amd64 ;;
    ARM64) platform=arm64 ;;
    *) fail "CpuArchitecture=$architecture: it must be X86_64 or ARM64" ;;
    esac
    [[ -z $named ]] || ask ImageUri "$named"
    if [[ -n $build ]]; then
        [[ ! -v asked[ImageUri] ]] || fail "$build and an image that is named (${asked[ImageUri]}) do not go together"
    elif [[ -v asked[ImageUri] ]]; then
        return 0
    elif [[ -n ${running[ImageUri]-} ]]; then
        [[ $architecture == "${running[CpuArchitecture]-$architecture}" ]] ||
            fail "the image that runs, ${running[ImageUri]}, was not built for CpuArchitecture=$architecture: give --build, or --image URI of one that was"
        ask ImageUri "${running[ImageUri]}"
        return 0
    else
        build=--build
    fi
    [[ -f $here/../Cargo.lock && -d $here/../worker ]] ||
        fail "the sources that an image is built from are not beside $here (a release's archive has none): give --image URI, of that release"
    $PLAN || need docker "or give --image URI of an image built elsewhere"
    command -v sha256sum >/dev/null || need shasum "it, or sha256sum, names the image by its sources"
    $PLAN || docker info >/dev/null 2>&1 || fail "docker does not run; or give --image URI of an image built elsewhere"
}

# The checksums of what is named on the input, each ended by a zero byte; of the input itself.
checksums() { if command -v sha256sum >/dev/null; then xargs -0 sha256sum; else xargs -0 shasum -a 256; fi; }
checksum() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }

# source_commit ROOT -> the commit of the sources, with "-dirty" where they differ from it; nothing where this is no git checkout
source_commit() {
    local top commit
    top=$(git -C "$1" rev-parse --show-toplevel 2>/dev/null) && [[ $top -ef $1 ]] || return 0
    commit=$(git -C "$1" rev-parse HEAD 2>/dev/null) || return 0
    git -C "$1" diff --quiet HEAD -- "${SOURCES[@]}" 2>/dev/null || commit+=-dirty
    printf '%s' "$commit"
}

# build_image: into the stack's repository, and asks for it
build_image() {
    local root sources tag repository=REPOSITORY present="" options=()
    ask RepositoryName "$PREFIX"
    stack "$IMAGE_STACK" image-repository.yaml
    root=$(cd "$here/.." && pwd)
    # The tag says what is in it: the same sources have the same tag, and are built once.
    sources=$(cd "$root" && find "${SOURCES[@]}" -type f -print0 | LC_ALL=C sort -z | checksums | checksum)
    tag=${sources:0:16}-$platform
    if [[ $build == --rebuild ]]; then
        # Tags do not move, and its base image may be another.
        tag+=-$(date -u +%Y%m%d%H%M%S)
        options=(--pull --no-cache)
    fi
    if [[ -v there[$IMAGE_STACK] ]]; then
        output repository "$IMAGE_STACK" RepositoryUri
        look_for present ImageNotFoundException aws ecr describe-images --repository-name "$PREFIX" --image-ids "imageTag=$tag" \
            --query 'imageDetails[0].imageDigest' --output text
    fi
    if [[ -n $present ]]; then
        say "The image $repository:$tag is there already."
    else
        change docker build --platform "linux/$platform" --build-arg "KEY_ROTATION_COMMIT=$(source_commit "$root")" \
            ${options[@]+"${options[@]}"} --tag "$repository:$tag" "$root"
        $PLAN || aws ecr get-login-password | docker login --username AWS --password-stdin "${repository%%/*}" ||
            fail "docker cannot log in to ${repository%%/*}"
        change docker push "$repository:$tag"
    fi
    ask ImageUri "$repository:$tag"
}
