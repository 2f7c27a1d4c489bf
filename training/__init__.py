"""What the network learns: tasks, neurons, e-prop, update schemes and the session that runs them."""
