"""Faults in a busy service: what is promised, what is observed, and the time of recovery."""
