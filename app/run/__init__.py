"""A live run: what its page and its worker process share."""
