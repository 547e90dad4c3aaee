"""The embedded benchmark: drawn organisms, and small weights trained on them."""
