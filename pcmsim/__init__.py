"""What the device does: phase-change memory, differential crossbars, pulses, drift and noise."""
