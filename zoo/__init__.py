"""The trip of one released thing: manifest, source, fetch, verify, load; and data sets."""
