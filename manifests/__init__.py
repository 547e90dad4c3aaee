"""Facts only: one TOML file per benchmark, one lock file beside it where hashes are known."""
