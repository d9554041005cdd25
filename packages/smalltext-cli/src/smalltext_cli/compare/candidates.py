"""The classifiers to compare with their settings: the given ones, or all that work without settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from smalltext_cli.console import UsageError
from smalltext_cli.parameters import Parameters, builder_parameters, parse_assignments, parse_values
from smalltext_cli.shipped_parameters import parameters_of
from smalltext_core import ClassifierSpec, LabelNames, classifier_spec, classifiers, plugins
from smalltext_core.errors import SmallTextError
from smalltext_core.messages import install_command, shown


@dataclass(frozen=True)
class Candidate:
    """A classifier to compare: its name, its origin, and its unparsed parameters, which each cell parses."""

    name: str
    distribution: str
    version: str
    settings: dict[str, str]
    takes_seed: bool
    takes_weights: bool = True

    def as_dict(self, seed: int) -> dict[str, Any]:
        """Return everything that determines a trained classifier, except the training texts, as JSON values."""
        settings = dict(self.settings)
        if self.takes_seed:
            settings.setdefault("seed", str(seed))
        return {
            "classifier": self.name,
            "distribution": self.distribution,
            "version": self.version,
            "settings": settings,
        }


def parse_names(option: str, given: str) -> list[str]:
    """Split the value of an option at commas; raise UsageError for empty and duplicate names."""
    names = [name.strip() for name in given.split(",")]
    if "" in names:
        raise UsageError(f"{option}: got {shown(given)}; allowed: names with commas between them.")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"{option}: {twice[0]} is given twice. Give it once.")
    return names


def chosen_candidates(
    named: str | None, pairs: Sequence[str], *, multi_label: bool, device: str | None = None
) -> tuple[list[Candidate], list[str]]:
    """Return the candidates, and a note on each installed classifier that is left out.

    Parameters
    ----------
    named : str or None
        The value of ``--classifiers``; None for all that work without settings.
    pairs : sequence of str
        The values of ``--set``: ``NAME.key=value``.
    multi_label : bool
        Whether the labels are multi-label.
    device : str, optional
        The device of each candidate that has such a parameter.

    Raises
    ------
    UsageError
        If a name is unknown, a setting matches no candidate, a given classifier lacks a required parameter, or no
        candidate is left.
    """
    names = list(classifiers()) if named is None else parse_names("--classifiers", named)
    by_name = _by_name(names, pairs)
    found, left_out = [], []
    for name in names:
        one = _candidate(name, by_name[name], multi_label=multi_label, device=device)
        if isinstance(one, Candidate):
            found.append(one)
        elif named is not None or by_name[name]:
            raise UsageError(f"{name}: {one}")
        else:
            left_out.append(f"{name} is left out: {one}")
    if not found:
        why = " ".join(left_out) or f"None is installed. A good start: {install_command('smalltext-sklearn')}"
        raise UsageError(f"There is no classifier to compare. {why}")
    return found, left_out


def _by_name(names: Sequence[str], pairs: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in names}
    for pair in pairs:
        key = pair.partition("=")[0].strip()
        name = max((one for one in names if key.startswith(f"{one}.")), key=len, default=None)
        if name is None:
            raise UsageError(
                f"--set {pair}: this is for none of the classifiers {', '.join(names)}. "
                f"Write --set NAME.key=value, such as --set {names[0] if names else 'sklearn'}.seed=1."
            )
        found[name].append(pair.strip()[len(name) + 1 :])
    return found


def _candidate(name: str, pairs: list[str], *, multi_label: bool, device: str | None) -> Candidate | str:
    """Return a candidate, or the reason why the classifier cannot be compared."""
    spec = classifier_spec(name)
    if multi_label and "multi_label" not in spec.abilities:
        return "it does not support multi-label data."
    try:
        parameters = parameters_of(spec)
    except SmallTextError as error:
        return str(error)
    given = {pair.partition("=")[0].strip().replace("-", "_") for pair in pairs}
    missing = [key for key, one in parameters.named.items() if one.is_required and key not in given]
    if missing:
        options = " ".join(f"--set {name}.{key}=..." for key in missing)
        return f"it needs {', '.join(missing)}. Give it: {options}"
    settings = _assignments(spec, parameters, pairs, device)
    provider = next(one for one in plugins() if any(provided is spec for provided in one.specs))
    return Candidate(
        name,
        provider.distribution or provider.name,
        provider.version or "",
        settings,
        "seed" in parameters.named,
        "weights" in spec.abilities,
    )


def _assignments(
    spec: ClassifierSpec, parameters: Parameters, pairs: list[str], device: str | None
) -> dict[str, str]:
    """Check settings; a backend is only imported if it has settings, to parse them by their types."""
    has_device = "device" in parameters.named
    try:
        settings = parse_assignments(spec.name, parameters, pairs, device=device if has_device else None)
        if settings:
            parse_values(builder_parameters(spec.resolve("builder")), settings)
    except UsageError as error:
        raise UsageError(str(error).replace("--set ", f"--set {spec.name}.")) from None
    return settings


def check_class_weights(candidates: Sequence[Candidate], names: LabelNames) -> None:
    """Reject settings with classes that do not occur in the data."""
    for one in candidates:
        weights = {key: value for key, value in one.settings.items() if key == "class_weight"}
        if weights:
            try:
                parse_values(builder_parameters(classifier_spec(one.name).resolve("builder")), weights, names)
            except UsageError as error:
                raise UsageError(str(error).replace("--set ", f"--set {one.name}.")) from None
