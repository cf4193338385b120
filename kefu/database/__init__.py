"""Django's PostgreSQL backend with a pool that is well again as soon as the server is."""
