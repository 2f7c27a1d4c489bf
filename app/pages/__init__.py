"""One file per page, and the parts that pages are made of."""
