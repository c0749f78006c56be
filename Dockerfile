# syntax=docker/dockerfile:1
# One image with both programs: `worker` (the default) and `producer`. It holds nothing but them, CA certificates and a user
# that is not root; there is no shell, and nothing in it needs to be written to.
#
#   docker build -t key-rotation .        (with buildx and --sbom=true: with a bill of materials attached)
#   docker buildx build --platform linux/amd64,linux/arm64 -t key-rotation .
#   docker run --rm --read-only --cap-drop ALL key-rotation /usr/local/bin/producer --help
#
# The same sources give the same binaries: the toolchain is the one of rust-version in Cargo.toml, dependencies are those of
# the lock file and no other, and no path or time of the build gets in.

# Built on the builder's own architecture for the target's: an emulated build takes hours.
FROM --platform=$BUILDPLATFORM rust:1.94.1-slim-bookworm AS build
ARG BUILDARCH
ARG TARGETARCH
RUN case "$TARGETARCH" in \
        amd64) triple=x86_64-unknown-linux-gnu gcc=x86-64-linux-gnu ;; \
        arm64) triple=aarch64-unknown-linux-gnu gcc=aarch64-linux-gnu ;; \
        *) echo "there is no image for $TARGETARCH" >&2; exit 1 ;; \
    esac \
    && echo "$triple" > /triple \
    && if [ "$BUILDARCH" != "$TARGETARCH" ]; then \
        apt-get update \
        && apt-get install -y --no-install-recommends "gcc-$gcc" "libc6-dev-$TARGETARCH-cross" \
        && rm -rf /var/lib/apt/lists/* \
        && rustup target add "$triple"; \
    fi
WORKDIR /src
COPY . .
# What `--version` says the programs were built from.
ARG KEY_ROTATION_COMMIT=""
ENV KEY_ROTATION_COMMIT=$KEY_ROTATION_COMMIT
ENV CARGO_INCREMENTAL=0 \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc \
    RUSTFLAGS="--remap-path-prefix=/src=. --remap-path-prefix=/usr/local/cargo=cargo"
RUN triple=$(cat /triple) \
    && cargo build --profile dist --locked --target "$triple" --bin producer --bin worker \
    && install -D -t /out/usr/local/bin "target/$triple/dist/producer" "target/$triple/dist/worker" \
    && install -D -m 0644 -t /out/usr/share/doc/key-rotation Cargo.lock LICENSE NOTICE \
    && cd /usr/local/cargo/registry/src/*/ \
    && find . -maxdepth 2 -type f \( -iname 'license*' -o -iname 'copying*' -o -iname 'notice*' \) \
        -exec install -D -m 0644 {} /out/usr/share/doc/key-rotation/licenses/{} \;

# Debian's C library, CA certificates and time zones; no shell, no package manager. "nonroot" is 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/ /
# Where a scanner of software bills of materials finds what the binaries were made of: the lock file, beside them.
LABEL org.opencontainers.image.title="key-rotation" \
      org.opencontainers.image.description="Rotates the IAM access keys of an AWS Organization" \
      org.opencontainers.image.source="https://github.com/key-rotation/key-rotation" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532
# No ENTRYPOINT: a task definition names the program it runs.
CMD ["/usr/local/bin/worker"]
