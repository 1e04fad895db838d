# One image for the API, the worker and the migrations; it runs as an ordinary user.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY requirements.txt pyproject.toml README.md ./
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt
COPY . .
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --create-home --uid 10001 courier
COPY --from=build /venv /venv
COPY migrations /app/migrations
WORKDIR /app
USER courier
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
ENTRYPOINT ["codecourier"]
