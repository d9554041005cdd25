"""The ML backend protocol of Label Studio: labelling configurations, tasks and predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from smalltext_cli.console import listed_names
from smalltext_cli.evaluation import is_class
from smalltext_cli.serving.bodies import Limits, RefusedError
from smalltext_cli.serving.predictions import check_count, checked_text
from smalltext_core import LabelNames
from smalltext_core.label_names import shown_name
from smalltext_core.messages import one_line, shown

_EXAMPLE = (
    '<View><Text name="text" value="$text"/><Choices name="label" toName="text">'
    '<Choice value="..."/></Choices></View>'
)


class ConfigError(RefusedError):
    """A labelling configuration does not fit the model. The message quotes no task."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(422, f"The labelling configuration {problem}. {next_step}")


@dataclass(frozen=True)
class Labelling:
    """The choices of a labelling configuration that the model predicts for a text.

    Parameters
    ----------
    from_name, to_name : str
        The names of the tags ``Choices`` and ``Text``.
    path : str
        The location of the text in the data of a task: a key, or keys joined by dots.
    is_multiple : bool
        Whether several choices are allowed.
    choices : mapping of int to str
        The choice for each class number; classes that are not offered are left out.
    """

    from_name: str
    to_name: str
    path: str
    is_multiple: bool
    choices: Mapping[int, str]

    @classmethod
    def of(cls, config: object, names: LabelNames, *, multi_label: bool) -> Labelling:
        """Read a labelling configuration, and check its choices against the classes of a model.

        Raises
        ------
        ConfigError
            If it is not XML, declares a document type (which could expand entities), has no ``Choices`` for a
            ``Text``, offers choices that are not classes, or allows only one choice per text for a multi-label
            model.
        """
        root = _parsed(config)
        texts = {one.get("name", ""): one for one in root.iter("Text")}
        controls = [one for one in root.iter("Choices") if one.get("toName") in texts]
        if not controls:
            raise ConfigError("has no <Choices> whose toName is that of a <Text>", f"Use one such as {_EXAMPLE}")
        fitting = [one for one in controls if next(_unknown(one, names), None) is None]
        if not fitting:
            unknown = list(islice(_unknown(controls[0], names), 21))  # one more than are listed
            where = shown_name(controls[0].get("name", ""))
            raise ConfigError(
                f"offers choices in {where} that are not classes of the model: {listed_names(unknown)}",
                f"The model knows {listed_names(names.names)}. Serve a model that was trained with these choices.",
            )
        if len(fitting) > 1:
            listed = listed_names([one.get("name", "") for one in fitting])
            raise ConfigError(f"has several <Choices> that fit the model: {listed}", "Leave one of them.")
        return cls._of_control(fitting[0], texts, names, multi_label)

    @classmethod
    def _of_control(
        cls,
        control: ET.Element,
        texts: Mapping[str, ET.Element],
        names: LabelNames,
        multi_label: bool,
    ) -> Labelling:
        from_name, to_name = control.get("name", ""), control.get("toName", "")
        is_multiple = control.get("choice") == "multiple"
        if multi_label and not is_multiple:
            raise ConfigError(
                f"allows one choice in {shown_name(from_name)}, and the model gives a text any number of classes",
                'Write choice="multiple" in <Choices>.',
            )
        value = texts[to_name].get("value", "")
        if not value.startswith("$") or len(value) == 1:
            raise ConfigError(f"has a <Text> whose value is {shown(value, 60)}, not a key", 'Write value="$text".')
        if texts[to_name].get("valueType", "text") != "text":
            raise ConfigError("has a <Text> with URLs of texts", "Put the texts into the tasks.")
        choices = {names.number(choice): choice for choice in _choices(control)}
        return cls(from_name, to_name, value[1:], is_multiple, choices)

    def text(self, task: object, name: str, limits: Limits) -> str:
        """Return the text of a task, or raise RefusedError with the name of the task."""
        data = task.get("data") if isinstance(task, dict) else None
        if not isinstance(data, dict):
            raise RefusedError(422, f'{name} has no object "data". Send tasks as Label Studio does.')
        found: object = data.get(self.path, data)
        if found is data:
            for key in self.path.split("."):
                found = found.get(key) if isinstance(found, dict) else None
        if found is None:
            raise RefusedError(422, f"{name} has no text: there is nothing at data.{one_line(self.path, 60)}.")
        return checked_text(found, f"{name}, data.{one_line(self.path, 60)},", limits)


def _parsed(config: object) -> ET.Element:
    if not isinstance(config, str) or not config.strip():
        raise ConfigError("is missing", "Send it as a string, as Label Studio does.")
    # The builder rejects a document type before any entity is declared, so no entity can be expanded.
    parser = ET.XMLParser(target=_WithoutDocumentType())  # noqa: S314
    try:
        parser.feed(config)
        root = parser.close()
    except (ET.ParseError, ValueError) as error:
        raise ConfigError(f"is not XML ({one_line(str(error), 80)})", f"Use one such as {_EXAMPLE}") from None
    return root


class _WithoutDocumentType(ET.TreeBuilder):
    """Builds elements, and rejects document types, without which no entity can be declared."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:  # noqa: ARG002
        raise ConfigError("declares a document type", "Remove <!DOCTYPE ...>: Label Studio needs none.")


def _choices(control: ET.Element) -> Iterator[str]:
    """Yield the choices of a control as they appear in annotations, with aliases instead of values."""
    if control.get("value"):
        problem = f"takes the choices of {shown_name(control.get('name', ''))} from the tasks"
        raise ConfigError(problem, "List them as <Choice> elements.")
    if len(list(islice(control.iter("Choices"), 2))) > 1:  # many levels would take time that is quadratic
        problem = f"nests <Choices> in {shown_name(control.get('name', ''))}"
        raise ConfigError(problem, "Put them next to each other.")
    for choice in control.iter("Choice"):
        if choice.find("Choice") is not None:
            problem = f"nests choices in {shown_name(control.get('name', ''))}"
            raise ConfigError(problem, "List them on one level: a class of the model is one choice.")
        yield choice.get("alias") or choice.get("value") or ""


def _unknown(control: ET.Element, names: LabelNames) -> Iterator[str]:
    return (choice for choice in _choices(control) if not is_class(names, choice))


@dataclass(frozen=True)
class TaskRequest:
    """The tasks of a Label Studio request: the labelling, and the text of each task."""

    labelling: Labelling
    texts: Sequence[str]

    @classmethod
    def of(
        cls, body: Mapping[str, object], names: LabelNames, limits: Limits, *, multi_label: bool
    ) -> TaskRequest:
        """Read the body of a request with the key ``tasks``, or raise RefusedError."""
        tasks = body["tasks"]
        if not isinstance(tasks, list):
            raise RefusedError(422, "tasks is not a list. Send tasks as Label Studio does.")
        check_count(len(tasks), limits)
        labelling = Labelling.of(body.get("label_config"), names, multi_label=multi_label)
        return cls(labelling, [labelling.text(task, _name(task, n), limits) for n, task in enumerate(tasks)])


def _name(task: object, number: int) -> str:
    identity = task.get("id") if isinstance(task, dict) else None
    return f"tasks[{number}]" if not isinstance(identity, int) else f"tasks[{number}] (id {identity})"


def predictions(
    labelling: Labelling, proba: NDArray[np.float32], numbers: Sequence[Sequence[int]], version: str
) -> list[dict[str, Any]]:
    """Return a prediction for each task.

    The score is the mean probability of the predicted choices; if there are none, it is one minus the highest
    probability. Classes that the configuration does not offer are left out.
    """
    found = []
    for row, chosen in zip(proba.tolist(), numbers, strict=True):
        offered = [number for number in chosen if number in labelling.choices]
        score = sum(row[number] for number in offered) / len(offered) if offered else 1 - max(row)
        result = {
            "from_name": labelling.from_name,
            "to_name": labelling.to_name,
            "type": "choices",
            "value": {"choices": [labelling.choices[number] for number in offered]},
            "score": score,
        }
        found.append({"result": [result] if offered else [], "score": score, "model_version": version})
    return found
