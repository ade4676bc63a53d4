"""What surrounds `fit`: metrics, resuming, seeds, early stopping."""
