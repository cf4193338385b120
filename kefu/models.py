"""The roof's own rows: the second factor of a person who logs in."""

from kefu.accounts.second_factor import SecondFactor

__all__ = ["SecondFactor"]
