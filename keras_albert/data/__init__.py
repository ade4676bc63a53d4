"""From files to batches: records, features of each task, length-aware pipelines."""
