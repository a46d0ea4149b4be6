# Dashboard and API together, with Chromium's headless shell, on one machine. docs/deploy.md says how to run it.
FROM python:3.11-slim-bookworm AS packages

COPY requirements-image.txt ./
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r requirements-image.txt
COPY deploy/docker/trim-packages.sh ./
RUN ./trim-packages.sh /opt/venv

FROM python:3.11-slim-bookworm

COPY deploy/docker/install-browser.sh /usr/local/bin/orders-install-browser
# setpriv, with which the entrypoint drops root, is in the base image (util-linux).
RUN apt-get update \
    && orders-install-browser \
    && apt-get install -y --no-install-recommends tini \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 orders \
    && useradd --uid 10001 --gid 10001 --create-home orders \
    && install -d -o 10001 -g 10001 -m 0700 /app/var

COPY --from=packages /opt/venv /opt/venv
COPY deploy/docker/entrypoint.sh /usr/local/bin/orders-entrypoint
WORKDIR /app
COPY . ./
# The user that runs it cannot write here, so each process would compile the modules again.
RUN /opt/venv/bin/python -m compileall -q .

ENV PATH=/opt/venv/bin:$PATH HOME=/home/orders PYTHONUNBUFFERED=1 \
    API_HOST=0.0.0.0 DASHBOARD_HOST=0.0.0.0
# What is kept: snapshots, the API's key, diagnostics.
VOLUME /app/var
EXPOSE 5000 8501
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "container_health.py"]
# It starts as root only to own the volume, and runs everything as the user 10001.
ENTRYPOINT ["orders-entrypoint"]
CMD ["python", "serve.py"]

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="phpmyadmin-orders" \
      org.opencontainers.image.description="Shopify orders out of phpMyAdmin, as a dashboard and a JSON API" \
      org.opencontainers.image.licenses="LicenseRef-Proprietary" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
