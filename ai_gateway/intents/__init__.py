"""What a contact wants, told from example sentences: a small classifier of our own.

`features` turns a sentence into what it is recognised by, `classifier` learns from examples,
`shipped` reads the intents that come with Kefu, `current` keeps the model of the database's rows,
`evaluation` measures. Nothing here calls out, and only `current` reads the database.
"""
