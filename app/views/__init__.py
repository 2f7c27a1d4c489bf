"""One file per plot: `build` makes the figure once, `columns` is a pure function of what it shows."""
