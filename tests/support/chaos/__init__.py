"""Faults on a busy service: what is promised, what is seen, and how soon all is well again."""
