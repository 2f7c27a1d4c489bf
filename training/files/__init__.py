"""Files of a run: its tables, its folder, and what is kept of one that is not done."""
