"""Providers: what can be connected, as declarations and drivers that know no web framework, database or settings."""
