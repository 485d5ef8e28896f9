"""What tests of several rooms share: a throw-away PostgreSQL, the browser to use."""
