"""What all else stands on: texts, documents, paths, quoting, compiled functions, types and bounds of tensors."""
