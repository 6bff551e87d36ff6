# Countersign's image: one for web, worker, beat and the one-off commands; docker-compose.yml says which does what.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.txt constraints.txt ./
RUN pip install --constraint constraints.txt -r requirements.txt
# The language model for names and places is no package of PyPI: spaCy publishes it as a wheel with its releases.
# Give another address (a mirror, a file server) with --build-arg SPACY_MODEL=..., or an empty one to leave it out.
ARG SPACY_MODEL=https://github.com/explosion/spacy-models/releases/download/en_core_web_lg-3.8.0/en_core_web_lg-3.8.0-py3-none-any.whl
RUN if [ -n "$SPACY_MODEL" ]; then pip install --no-deps "$SPACY_MODEL"; fi

FROM python:${PYTHON}-slim
RUN groupadd --gid 10001 countersign \
 && useradd --uid 10001 --gid countersign --home-dir /data --no-create-home --shell /usr/sbin/nologin countersign \
 && install -d -o countersign -g countersign -m 0700 /data
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY . .
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    COUNTERSIGN_PRODUCTION=1 COUNTERSIGN_HTTPS=1 COUNTERSIGN_VAR=/data STATIC_ROOT=/srv/static \
    WEB_BIND=0.0.0.0:8000 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Static files belong to the image, not to the data; the key is only for this command and is not kept.
RUN python -m compileall -q controlplane governance pipelines security \
 && install -d /srv/static \
 && COUNTERSIGN_VAR=/tmp/build SECRET_KEY=only-while-building-0123456789-abcdefghijklmnopqrstuvwxyz \
    DATABASE_URL=sqlite:////tmp/build.sqlite3 python manage.py collectstatic --no-input --verbosity 0 \
 && rm -rf /tmp/build /tmp/build.sqlite3
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["gunicorn", "-c", "python:controlplane.gunicorn_conf"]
