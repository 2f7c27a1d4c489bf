"""Scripts that run in the browser beside the plots."""
