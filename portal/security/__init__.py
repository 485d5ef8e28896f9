"""Security primitives: values in, values or a SecurityError out; no Flask, no database, no settings."""
