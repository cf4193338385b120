"""`make bench`: the product against the textbook design, on this machine, in one run."""
