"""Kill, restart, drop, duplicate, delay: nothing lost, nothing doubled (NX-05)."""
