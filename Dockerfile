# One image for the API, the worker and the migrations; it runs as an ordinary user.
# An exact tag, which can be moved all the same: how to pin its digest is told in docs/deploy.md.
ARG PYTHON_IMAGE=python:3.11.16-slim-bookworm
FROM ${PYTHON_IMAGE} AS build
WORKDIR /app
COPY requirements.txt pyproject.toml README.md ./
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt
COPY . .
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${PYTHON_IMAGE}
# git of the worker's: what is fetched and pushed never carries a token into a sandbox
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates git \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 10001 courier \
 && install --directory --owner=courier --group=courier --mode=0700 /var/cache/codecourier
COPY --from=build /venv /venv
COPY migrations /app/migrations
WORKDIR /app
USER courier
# The commit: by it Temporal's histories name this build.  --build-arg CODECOURIER_BUILD=$(git rev-parse HEAD)
ARG CODECOURIER_BUILD=
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 CODECOURIER_BUILD=$CODECOURIER_BUILD
ENTRYPOINT ["codecourier"]
