"""What runs in the browser beside the plots."""
