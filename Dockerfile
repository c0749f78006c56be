# syntax=docker/dockerfile:1
# One image with both programs: `worker` (the default) and `producer`. It holds nothing but them, CA certificates and a user
# that is not root; there is no shell, and nothing in it needs to be written to.
#
#   docker build -t key-rotation .        (with buildx and --sbom=true: with a bill of materials attached)
#   docker run --rm --read-only --cap-drop ALL key-rotation /usr/local/bin/producer --help
#
# The same sources give the same binaries: the toolchain is the one of rust-version in Cargo.toml, dependencies are those of
# the lock file and no other, and no path or time of the build gets in.

FROM rust:1.94.1-slim-bookworm AS build
WORKDIR /src
COPY . .
ENV CARGO_INCREMENTAL=0 \
    RUSTFLAGS="--remap-path-prefix=/src=. --remap-path-prefix=/usr/local/cargo=cargo"
# Stripped: a panic still tells its file and line.
RUN cargo build --release --locked --package producer --package worker \
    && strip target/release/producer target/release/worker \
    && install -D -t /out/usr/local/bin target/release/producer target/release/worker \
    && install -D -m 0644 Cargo.lock /out/usr/share/doc/key-rotation/Cargo.lock

# Debian's C library, CA certificates and time zones; no shell, no package manager. "nonroot" is 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/ /
# Where a scanner of software bills of materials finds what the binaries were made of: the lock file, beside them.
LABEL org.opencontainers.image.title="key-rotation" \
      org.opencontainers.image.description="Rotates the IAM access keys of an AWS Organization" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532
# No ENTRYPOINT: a task definition names the program it runs.
CMD ["/usr/local/bin/worker"]
