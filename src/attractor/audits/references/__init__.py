"""Reference curves of audits, as JSON."""
