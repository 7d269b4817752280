"""Prompts with answers, and chats, for a language model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from typing import Any

import torch
from torch_geometric.data import Data

from gia.data.cache import digest
from gia.data.datasets.base import Dataset, check_choice
from gia.data.datasets.json_lines import Line, read_lines
from gia.data.files import expand
from gia.data.items import Items, Rejected
from gia.data.progress import progress
from gia.data.prompts import CHAT, Part, answer_parts, chat_parts, check_chats, choose_template
from gia.data.schema import IGNORED
from gia.data.tokenizer import ByteTokenizer, Tokenizer

LOSS_ON = ("answers", "all")
# Names that fields often have.
KNOWN = (
    *(("question", "answer"), ("problem", "solution"), ("prompt", "completion")),
    *(("instruction", "output"), ("instruction", "response"), ("input", "output")),
    *(("query", "response"), ("prompt", "response"), ("prompt", "answer")),
)


class Instruct(Dataset):
    """Prompts with answers, or chats, out of JSON lines.

    A record with ``messages_field`` is a chat, and its answers are the assistant's turns; any other
    has a prompt and an answer. What cannot be used is left out and told by line.

    Args:
        path: a file, a pattern such as ``chats/*.jsonl``, or a list of either.
        url: where to download a file from if it does not exist.
        tokenizer: which symbols there are; bytes if left out.
        prompt_field: the field of a prompt.
        answer_field: the field of its answer.
        messages_field: the field of a chat, a list of messages with ``role`` and ``content``.
        template: how a prompt and its answer are written, such as ``"{prompt}\\n{answer}"``, or
            ``"chat"`` for the tokenizer's own template; None takes the latter if there is one.
        loss_on: ``"answers"``, or ``"all"``: what is to be learned.
        max_length: the most nodes of an item.
        cut_long: cut the end of a longer one instead of leaving it out.
        **options: of :class:`gia.data.datasets.Dataset`.

    Shapes:
        token, seq_pos: [L], int64
        y: [L], int64, the token that follows; -100 where it is not to be learned

    Raises:
        ValueError: if an option is out of range, or the tokenizer lacks a token.
    """

    framed = True

    def __init__(
        self,
        path: str | PathLike | Iterable[str | PathLike],
        url: str | None = None,
        *,
        tokenizer: Tokenizer | None = None,
        prompt_field: str = "prompt",
        answer_field: str = "answer",
        messages_field: str = "messages",
        template: str | None = None,
        loss_on: str = "answers",
        max_length: int = 512,
        cut_long: bool = False,
        target_type: str = "next_token",
        **options: Any,
    ) -> None:
        super().__init__(target_type=target_type, **options)
        check_choice("loss_on", loss_on, LOSS_ON)
        if max_length < 2:
            raise ValueError(f"data.max_length must be at least 2, got {max_length}")
        self.path, self.url = path, url
        self.tokenizer = ByteTokenizer() if tokenizer is None else tokenizer
        self.template = choose_template(template, self.tokenizer)
        if self.tokenizer.eos is None:
            raise ValueError(
                f"the tokenizer of {getattr(self.tokenizer, 'base', 'the data')} has no token that "
                "ends an answer: name one of its tokens with tokenizer.eos_token=..."
            )
        self.prompt_field, self.answer_field = prompt_field, answer_field
        self.messages_field = messages_field
        self.loss_on, self.max_length, self.cut_long = loss_on, max_length, cut_long

    def load(self, labelled: bool = True) -> Items:
        """The examples that can be used, in the files' order.

        Raises:
            OSError: if a file cannot be read.
            ValueError: if no record has the fields, or a chat has no template.
        """
        if self.target_type != "next_token":
            raise ValueError(
                "prompts with answers have no target to predict: use data=labelled_csv, or "
                "task=language_modeling"
            )
        lines = read_lines(expand(self.path), self.url)
        self.tokenizer = self.tokenizer.trained_on(
            _texts(lines, self.prompt_field, self.answer_field)
        )
        self._check_fields([line.record for line in lines if line.problem is None])
        items = Items(graphs=[], level="node", kind="sequence", num_rows=len(lines))
        unknown: Counter[str] = Counter()
        for row, line in progress(enumerate(lines), len(lines), "reading examples"):
            try:
                parts, chat = self._parts(line)
                items.graphs.append(self._graph(row, line.name, parts, chat))
            except ValueError as error:
                items.rejected.append(Rejected(row, line.name, str(error)))
                continue
            strange = self.tokenizer.count_unknown("".join(text for text, _ in parts))
            items.first_unknown = items.first_unknown or (line.name if strange else None)
            unknown.update(strange)
        items.unknown = dict(sorted(unknown.items()))
        return items

    def digest(self) -> str:
        """Of the records and the options."""
        options = [self.tokenizer.to_config(), self.template, self.loss_on, self.max_length]
        lines = read_lines(expand(self.path), self.url)
        return digest("instruct", options, self.cut_long, [line.record for line in lines])

    def with_file(self, path: Any, **columns: Any) -> Instruct:
        """The examples of another file, with the same fields."""
        if columns:
            raise ValueError(
                f"JSON lines have no columns such as {', '.join(columns)}: leave them out"
            )
        return Instruct(path, **self.options)

    @property
    def options(self) -> dict[str, Any]:
        names = ("tokenizer", "prompt_field", "answer_field", "messages_field", "template")
        names += ("loss_on", "max_length", "cut_long")
        return super().options | {name: getattr(self, name) for name in names}

    def _check_fields(self, records: Sequence[dict[str, Any]]) -> None:
        """See that the fields are those of some record, before each is looked at."""
        fields = list(dict.fromkeys(name for record in records for name in record))
        if self.messages_field in fields:
            check_chats(self.tokenizer)
            return
        for option in ("prompt_field", "answer_field"):
            name = getattr(self, option)
            if not records or name in fields:
                continue
            pair = next((pair for pair in KNOWN if {*pair} <= {*fields}), None)
            way = "name yours with data.prompt_field=... and data.answer_field=..."
            if pair is not None:
                way = f"give data.prompt_field={pair[0]} data.answer_field={pair[1]}"
            raise ValueError(
                f"no record of data.path={self.path} has a field {name!r} (data.{option}): there "
                f"are {', '.join(fields) or 'none'}; {way}"
            )

    def _parts(self, line: Line) -> tuple[list[Part], bool]:
        """The text of an example and what of it is an answer; and whether a chat's template has
        written it, with all that begins and ends it."""
        if line.problem is not None:
            raise ValueError(line.problem)
        record = line.record
        if record.get(self.messages_field) is not None:
            return chat_parts(record[self.messages_field], self.tokenizer), True
        prompt, answer = (_text(record, name) for name in (self.prompt_field, self.answer_field))
        return answer_parts(prompt, answer, self.template, self.tokenizer), self.template == CHAT

    def _graph(self, row: int, name: str, parts: list[Part], chat: bool) -> Data:
        pieces = self.tokenizer.encode_parts([text for text, _ in parts])
        answers = [answer for _, answer in parts]
        if not chat:
            bos, eos = self.tokenizer.bos, self.tokenizer.eos
            start = torch.tensor([] if bos is None else [bos], dtype=torch.long)
            pieces = [start, *pieces, torch.tensor([eos])]
            answers = [False, *answers, True]
        tokens = torch.cat(pieces)
        of_answer = torch.cat(
            [torch.full((len(piece),), own) for piece, own in zip(pieces, answers, strict=True)]
        )
        nodes = len(tokens) - 1
        if nodes > self.max_length and not self.cut_long:
            raise ValueError(
                f"{nodes:,} tokens, {int(of_answer.sum()):,} of them of answers, are more than "
                f"data.max_length={self.max_length}"
            )
        tokens, of_answer = tokens[: self.max_length + 1], of_answer[: self.max_length + 1]
        if not of_answer[1:].any():
            raise ValueError(
                f"its answer begins behind token {self.max_length:,}, at which data.max_length cuts"
            )
        y = tokens[1:].clone()
        if self.loss_on == "answers":
            y[~of_answer[1:]] = IGNORED
        return Data(
            token=tokens[:-1],
            y=y,
            seq_pos=torch.arange(len(y)),
            num_nodes=len(y),
            prompt_length=int(of_answer.long().argmax()),
            name=name,
            row=row,
            text=next(text for text, _ in parts),
            cut=nodes - len(y),
        )


def _texts(lines: Iterable[Line], *fields: str) -> Iterator[str]:
    """All texts of these fields, for a tokenizer that learns from them."""
    for line in lines:
        yield from (str(line.record[name]) for name in fields if line.record.get(name) is not None)


def _text(record: dict[str, Any], name: str) -> str:
    """A field that holds a text, or a number.

    Raises:
        ValueError: if it does not.
    """
    if record.get(name) is None:
        has = ", ".join(record) or "none"
        raise ValueError(f"no field {name!r}: its fields are {has}")
    value = record[name]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"the field {name!r} is a {type(value).__name__}, and no text")
    if not str(value).strip():
        raise ValueError(f"the field {name!r} is empty")
    return str(value)
