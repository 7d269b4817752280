"""Prompts, answers and chats as one text, of which it is known what is to be learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gia.data.tokenizer import Tokenizer

CHAT = "chat"  # the template that means the tokenizer's own
PLAIN = "{prompt}\n{answer}"
PROMPT, ANSWER = "{prompt}", "{answer}"
# A piece of text, and whether it is an answer.
Part = tuple[str, bool]


def choose_template(template: str | None, tokenizer: Tokenizer) -> str:
    """How prompt and answer are written: as it is said, or else by the tokenizer's chat template,
    or in two lines where it has none.

    Args:
        template: with ``{prompt}`` and ``{answer}``, ``"chat"``, or None.
        tokenizer: of the texts.

    Raises:
        ValueError: if the template does not fit.
    """
    if template is None:
        return CHAT if tokenizer.has_chat_template else PLAIN
    if template == CHAT:
        check_chats(tokenizer)
        return CHAT
    template = template.replace("\\n", "\n")  # as a command line has it
    if template.count(PROMPT) != 1 or not template.endswith(ANSWER) or template.count(ANSWER) != 1:
        raise ValueError(
            f"data.template must be {CHAT}, or a text with {PROMPT} once and {ANSWER} at its end, "
            f"such as '{PROMPT}\\n{ANSWER}', got {template!r}"
        )
    return template


def check_chats(tokenizer: Tokenizer) -> None:
    """See that chats can be written.

    Raises:
        ValueError: if the tokenizer has no template for them.
    """
    if not tokenizer.has_chat_template:
        raise ValueError(
            "chats are written by a chat template, but "
            f"{getattr(tokenizer, 'base', 'this tokenizer')} has none: give "
            "tokenizer.chat_template=FILE with one in Jinja, take a base that was trained on "
            "chats, or data with a prompt and an answer"
        )


def prompt_text(prompt: str, template: str | None, tokenizer: Tokenizer) -> str:
    """What a model reads before it answers.

    Args:
        prompt: of a user.
        template: of :func:`choose_template`; None: the prompt is all.
        tokenizer: of the texts.
    """
    if template is None:
        return prompt
    if template == CHAT:
        return tokenizer.chat([{"role": "user", "content": prompt}], answers=True)
    return template.removesuffix(ANSWER).replace(PROMPT, prompt)


def answer_parts(prompt: str, answer: str, template: str, tokenizer: Tokenizer) -> list[Part]:
    """A prompt and its answer.

    Raises:
        ValueError: if a chat template does not take them.
    """
    if template == CHAT:
        user, assistant = ("user", prompt), ("assistant", answer)
        chat = [{"role": role, "content": content} for role, content in (user, assistant)]
        return chat_parts(chat, tokenizer)
    return [(prompt_text(prompt, template, tokenizer), False), (answer, True)]


def chat_parts(messages: Sequence[Mapping[str, Any]], tokenizer: Tokenizer) -> list[Part]:
    """A chat, of which the turns of the assistant are answers.

    Args:
        messages: each with ``role`` and ``content``.
        tokenizer: with a chat template.

    Raises:
        ValueError: if there is no such turn, or the template does not take such messages.
    """
    messages = _checked(messages)
    parts: list[Part] = []
    done = ""
    for number, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = tokenizer.chat(messages[:number], answers=True)
        after = tokenizer.chat(messages[: number + 1])
        if not (before.startswith(done) and after.startswith(before)):
            raise ValueError(
                "the chat template writes earlier messages otherwise once an answer follows, so "
                "that answers cannot be told from the rest"
            )
        parts += [(before[len(done) :], False), (after[len(before) :], True)]
        done = after
    return parts


def _checked(messages: Any) -> list[dict[str, str]]:
    if not isinstance(messages, list) or not messages:
        raise ValueError("its messages are no list of messages, or an empty one")
    for message in messages:
        fits = isinstance(message, dict) and isinstance(message.get("role"), str)
        if not fits or not isinstance(message.get("content"), str):
            raise ValueError("a message must have a role and a content, both texts")
    if not any(message["role"] == "assistant" for message in messages):
        roles = ", ".join(dict.fromkeys(message["role"] for message in messages))
        raise ValueError(f"no turn of the assistant, whose answers are learned (roles: {roles})")
    return messages
