# Dashboard and API together, with Chromium, on one machine:
#
#   docker build -t phpmyadmin-orders .
#   docker run --env-file .env -e DASHBOARD_PASSWORD=... -v orders:/app/var -p 8501:8501 -p 5000:5000 phpmyadmin-orders
#
# With -e PORT=8080 -p 8080:8080, as platforms set it, both share that port.
# Both listen on all addresses, so the dashboard does not start without DASHBOARD_PASSWORD. The API's key is
# SHOPIFY_API_KEY, else one is made at the first start: docker exec CONTAINER cat var/api_key
FROM python:3.11-slim-bookworm

# tini ends and reaps what a killed Chrome leaves behind
RUN apt-get update \
    && apt-get install -y --no-install-recommends chromium chromium-driver tini \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY requirements-image.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements-image.txt
COPY . ./
RUN useradd --create-home orders && mkdir var && chown orders var
USER orders

# What is kept: snapshots, the API's key, diagnostics.
VOLUME /app/var
ENV API_HOST=0.0.0.0 DASHBOARD_HOST=0.0.0.0 PYTHONUNBUFFERED=1
EXPOSE 5000 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", "import os, urllib.request as r; e = os.environ.get; [r.urlopen(f'http://127.0.0.1:{e(name) or e(\"PORT\") or port}/{path}') for name, port, path in (('API_PORT', 5000, 'health'), ('DASHBOARD_PORT', 8501, '_stcore/health'))]"]
ENTRYPOINT ["tini", "--"]
CMD ["python", "serve.py"]
