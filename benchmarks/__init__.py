"""Measures the portal beside what a user would pick instead, in one interleaved run. README.md says how."""
