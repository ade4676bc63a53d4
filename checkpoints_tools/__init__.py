"""Everything that knows foreign names: Google's TensorFlow 1 checkpoints, in and out."""
