"""Configuration as files: read with line numbers, checked whole, applied in one transaction."""
