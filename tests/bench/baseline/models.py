"""One table, as a tutorial has it."""

from django.db import models


class Message(models.Model):
    conversation = models.CharField(max_length=40, db_index=True)
    client_id = models.CharField(max_length=64)
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "baseline"

    def __str__(self) -> str:
        return self.text
