# syntax=docker/dockerfile:1

# --- builds the binary
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# What the crates with C inside need: SQLite and the TLS library are built from source.
RUN apt-get update && apt-get install --yes --no-install-recommends cmake g++ make && rm -rf /var/lib/apt/lists/*
COPY Cargo.toml Cargo.lock ./
# The dependencies alone first, so that a change of our own code does not build them again.
RUN mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
    && mkdir -p tests/it benches && echo 'fn main() {}' > tests/it/main.rs \
    && touch benches/admit.rs benches/turn.rs \
    && cargo build --release --locked --bin plimsoll \
    && rm -r src tests benches
COPY . .
RUN touch src/main.rs src/lib.rs && cargo build --release --locked --bin plimsoll \
    && mkdir /data-of-plimsoll

# --- holds it, with certificates and git, which fetches the mirrors that risk is learned from; not root
FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates git && rm -rf /var/lib/apt/lists/*
LABEL org.opencontainers.image.title="Plimsoll" \
      org.opencontainers.image.description="A GitHub App that says how much risk a release carries, and brings it safely into production." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /src/target/release/plimsoll /usr/local/bin/plimsoll
# A new volume takes the owner of the folder that it is mounted on.
COPY --from=build --chown=65532:65532 /data-of-plimsoll /data
USER 65532:65532
VOLUME /data
WORKDIR /data
# PORT and not PLIMSOLL_LISTEN, so that a platform that sets PORT has its way.
ENV PORT=3000 \
    PLIMSOLL_DATABASE=/data/plimsoll.db \
    PLIMSOLL_LOG_FORMAT=json
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/plimsoll", "health"]
ENTRYPOINT ["/usr/local/bin/plimsoll"]
CMD ["serve"]
