"""What everything else stands on: text as people write it, documents of settings, quoting in messages."""
