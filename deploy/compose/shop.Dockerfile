# Fills the sample shop of compose.yaml's profile `demo` with orders. Not part of the product's image.
FROM python:3.11-slim-bookworm

COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
WORKDIR /shop
COPY lab ./lab
USER 10001:10001
CMD ["python", "-m", "lab.data", "mariadb"]
