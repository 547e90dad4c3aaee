"""What a checkpoint says of its own training."""
