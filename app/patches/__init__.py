"""Changes to the internals of other libraries: one file each, with a test that fails when it is no longer needed."""
