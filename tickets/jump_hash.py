"""Which of n buckets a key belongs to: jump consistent hash (Lamping and Veach, 2014).

Going from n to n + 1 buckets moves one key in n + 1, and none between the old buckets.
"""

import hashlib

_FACTOR = 2862933555777941757
_MASK = (1 << 64) - 1


def bucket(key: str, buckets: int) -> int:
    """0 … buckets - 1, the same in every process and release. ValueError for no bucket at all."""
    digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
    return bucket_of_number(int.from_bytes(digest, "big"), buckets)


def bucket_of_number(number: int, buckets: int) -> int:
    """The same of a key that is 64 evenly spread bits already."""
    if buckets < 1:
        raise ValueError("at least one bucket is needed")
    state = number
    chosen, jump = -1, 0
    while jump < buckets:
        chosen = jump
        state = (state * _FACTOR + 1) & _MASK
        jump = int((chosen + 1) * ((1 << 31) / ((state >> 33) + 1)))
    return chosen
