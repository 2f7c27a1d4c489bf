"""What the server answers, to whom, and with which headers: a list of routes behind a gate that asks for the token."""
