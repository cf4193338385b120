"""Two consumers: who writes, and who is to see it."""

from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from tests.bench.baseline.models import Message


class VisitorConsumer(AsyncJsonWebsocketConsumer):
    """Stores a visitor's message, shows it to the agent, acknowledges it."""

    async def connect(self) -> None:
        self.conversation = self.scope["url_route"]["kwargs"]["conversation"]
        self.agent = self.scope["url_route"]["kwargs"]["agent"]
        await self.channel_layer.group_add(f"visitor.{self.conversation}", self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(f"visitor.{self.conversation}", self.channel_name)

    async def receive_json(self, content: dict[str, Any], **kwargs: Any) -> None:
        message = await database_sync_to_async(Message.objects.create)(
            conversation=self.conversation, client_id=content["client_id"], text=content["text"]
        )
        shown = {"client_id": message.client_id, "text": message.text, "id": message.pk}
        await self.channel_layer.group_send(
            f"agent.{self.agent}", {"type": "chat.message", "message": shown}
        )
        await self.send_json({"type": "ack", "client_id": message.client_id, "id": message.pk})


class AgentConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self) -> None:
        self.group = f"agent.{self.scope['url_route']['kwargs']['agent']}"
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def chat_message(self, event: dict[str, Any]) -> None:
        await self.send_json({"type": "message", "message": event["message"]})
