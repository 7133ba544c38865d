# Debian's Caddy in front of the gateway: docker build --file docker/caddy.Dockerfile --tag bcd-caddy docker
# Debian's has no file capabilities, so it runs without any (cap_drop: ALL); it listens above port 1024.

FROM debian:bookworm-slim

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends caddy \
    && rm -rf /var/lib/apt/lists/*

ARG WORKER_UID=10001
ARG WORKER_GID=10001
# Where the certificates are kept that Caddy makes by itself (GATEWAY_TLS=internal).
RUN install --directory --owner="${WORKER_UID}" --group="${WORKER_GID}" --mode=700 /data

ENV HOME=/data \
    XDG_DATA_HOME=/data \
    XDG_CONFIG_HOME=/data
WORKDIR /data
USER ${WORKER_UID}:${WORKER_GID}

# compose.yaml mounts ours there
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile"]
