# Superset with the drivers of PostgreSQL and Dremio, and this project's configuration of it.
# From the root of the project:
#   docker build -f tools/images/superset.Dockerfile -t REGISTRY/superset:VERSION . && docker push …
#   bin/dataflow pulumi config set images:superset REGISTRY/superset@sha256:…
FROM docker.io/apache/superset:6.1.0@sha256:fb3464528ec7076f91195f0ff7835755aa023e281f1bb78a84782ce7a36b3705
USER root
COPY tools/venvs/superset.lock tools/venvs/superset.overrides* /tmp/
RUN uv pip install --python /app/.venv --no-deps --compile-bytecode --require-hashes \
      -r /tmp/superset.lock \
    && rm /tmp/superset.*
COPY services/__init__.py* /opt/dataflow/services/
COPY services/superset /opt/dataflow/services/superset
COPY tls /opt/dataflow/tls
RUN /app/.venv/bin/python -m compileall -q /opt/dataflow
USER 10001:10001
HEALTHCHECK NONE
