"""What everything else stands on: texts, documents and paths as people write them, quoting, compiled functions."""
