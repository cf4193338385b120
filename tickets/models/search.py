"""The words of messages, as they are searched for."""

from typing import Any

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from tickets.models.message import Message


class MessageWords(models.Model):
    """The bigrams of one message's text, in a row of its own and written a little later.

    So that a message's way stays as short as it is: an index of all that people say is ten
    times as much work as the message.
    """

    message = models.OneToOneField(Message, models.CASCADE, primary_key=True, related_name="+")
    words: Any = SearchVectorField()

    class Meta:
        indexes = [GinIndex(fields=["words"], name="message_words")]

    def __str__(self) -> str:
        return str(self.message_id)
