"""The one gate between the house and an endpoint: what goes out, and what comes back.

    guarded = await guardrails.guarded(prompt, config)          # may raise EndpointError
    answer = await backend.answer(guarded.prompt, guarded.tell(tell))
    answer = guarded.answer(answer)                             # may raise EndpointError

Out: personal data by placeholders where the endpoint says so, sensitive words starred. Back:
placeholders resolved, no active markup, sensitive words starred, handed off, or the whole of
it refused: a question by ErrorKind.CONTENT_FILTER (nobody is asked, the rules speak), an answer by
ErrorKind.BLOCKED (the next endpoint is asked).
"""

from ai_gateway.guardrails.gate import Guarded, guarded

__all__ = ["Guarded", "guarded"]
