# Two variants of one image, both without root: `--target cpu` (the default) and `--target cuda`. PyTorch's CUDA wheels
# bring CUDA along, so that both start from the same small base; the machine has to bring the driver.

# A release by name; for one content for ever: --build-arg PYTHON=python@sha256:...
ARG PYTHON=python:3.11.14-slim-trixie

FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/hpo
ENV PATH=/opt/hpo/bin:$PATH
WORKDIR /src

FROM build AS build-cpu
# Where PyTorch's smaller CPU wheels are: --build-arg TORCH_INDEX=URL. Without it the default wheels serve, which are
# larger but run on a CPU too.
ARG TORCH_INDEX=""
RUN pip install "torch>=2.11,<2.14" ${TORCH_INDEX:+-i "$TORCH_INDEX"}
COPY pyproject.toml README.md ./
COPY hpo ./hpo
RUN pip install ".[postgres,s3]"

FROM build AS build-cuda
RUN pip install "torch>=2.11,<2.14"
COPY pyproject.toml README.md ./
COPY hpo ./hpo
RUN pip install ".[postgres,s3]"

FROM ${PYTHON} AS base
RUN groupadd --gid 10001 hpo \
    && useradd --uid 10001 --gid hpo --create-home hpo \
    && install --directory --owner=hpo --group=hpo /data /app
ENV PATH=/opt/hpo/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HPO_HOME=/data HPO_CACHE=/data/cache HOME=/tmp
WORKDIR /app
USER 10001:10001
VOLUME /data
CMD ["hpo", "--help"]

FROM base AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=build-cuda /opt/hpo /opt/hpo

FROM base AS cpu
COPY --from=build-cpu /opt/hpo /opt/hpo
