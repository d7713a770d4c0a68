# This project's modules, dbt and the connectors, for containers of dev and prod.
# From the root of the project:
#   docker build -f tools/images/platform.Dockerfile -t REGISTRY/platform:VERSION . && docker push …
#   bin/dataflow pulumi config set images:dataflow REGISTRY/platform@sha256:…
ARG PYTHON=docker.io/library/python:3.11-slim-bookworm
FROM ${PYTHON} AS build
COPY --chown=root:root . /opt/dataflow
WORKDIR /opt/dataflow
RUN python -m venv /uv \
    && /uv/bin/pip install --no-cache-dir --require-hashes -r tools/venvs/launcher.lock \
    && for name in dataflow dbt source-faker; do \
         case "$name" in dataflow) venv=.venv ;; *) venv="venvs/$name" ;; esac \
         && python -m venv "$venv" \
         && /uv/bin/uv pip install --python "$venv" --compile-bytecode \
              --require-hashes -r "tools/venvs/$name.lock"; \
       done

FROM ${PYTHON}
COPY --from=build /opt/dataflow /opt/dataflow
# Now: containers cannot, because their root is read-only, and would compile at every start.
RUN python -m compileall -q -x '/(\.venv|venvs|tests?|lib2to3)/' /opt/dataflow /usr/local/lib/python3.11
# What a new volume takes owner and mode from: one folder per user of services/images.yaml.
RUN for user in 26 999 1000 10001 65534; do \
      install -d -m 0700 -o "$user" -g "$user" "/dataflow/empty/$user" \
        "/dataflow/empty/$user/config" "/dataflow/empty/$user/data"; \
    done
USER 10001:10001
HEALTHCHECK NONE
