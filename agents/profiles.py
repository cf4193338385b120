"""An agent's profile: made when it is first needed, and the status that its owner chooses."""

from datetime import datetime

from django.contrib.auth.models import User

from agents import push
from agents.models import Agent
from tickets.payloads import user_name
from tickets.policy import Principal, Role


def agent_of(user: User, principal: Principal) -> Agent:
    """The user's profile. Who only looks after the house is not given work unasked."""
    answers = principal.role in (Role.AGENT, Role.LEAD)
    status = Agent.Status.ONLINE if answers else Agent.Status.OFFLINE
    agent, _created = Agent.objects.get_or_create(user=user, defaults={"status": status})
    return agent


def set_status(agent: Agent, status: str, *, reason: str, now: datetime) -> None:
    """Choose a status, and tell the agent's other consoles."""
    agent.status, agent.status_reason, agent.status_since = status, reason, now
    agent.save(update_fields=["status", "status_reason", "status_since"])
    push.tell_agent(agent.user_id, {"type": "status", "status": status})


def agent_payload(agent: Agent, user: User, teams: list[str]) -> push.AgentPayload:
    return {
        "username": user.get_username(),
        "name": user_name(user),
        "status": agent.status,
        "teams": teams,
    }
