"""What all of training rests on: signals, files that are whole, locks, limits of what is read, the terminal."""
