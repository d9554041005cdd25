"""How to install a package of this project: the one place that messages with such advice take it from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NEEDED_TOO: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "smalltext-cli": ("smalltext-testing",),
        "smalltext-core": (),
        "smalltext-kimcnn": ("smalltext-torch",),
        "smalltext-setfit": ("smalltext-torch",),
        "smalltext-sklearn": (),
        "smalltext-testing": (),
        "smalltext-torch": (),
        "smalltext-transformers": ("smalltext-torch",),
    }
)
"""The packages of this project, and which others of them each needs besides smalltext-core."""


def install_command(distribution: str, *, upgrade: bool = False) -> str:
    """Return the command that installs a distribution, for the end of a message.

    Until the packages of this project are published, it also says what works in a clone of the repository.

    Parameters
    ----------
    distribution : str
        Such as ``"smalltext-setfit"``. Of another project, there is no second command.
    upgrade : bool, default=False
        Whether it is installed, in a version that is too old.

    Examples
    --------
    >>> install_command("smalltext-kimcnn")
    'pip install smalltext-kimcnn (in a clone: pip install ./packages/smalltext-torch ./packages/smalltext-kimcnn)'
    >>> install_command("numpy", upgrade=True)
    'pip install --upgrade numpy'
    """
    command = "pip install --upgrade" if upgrade else "pip install"
    if distribution not in NEEDED_TOO:
        return f"{command} {distribution}"
    folders = " ".join(f"./packages/{name}" for name in (*NEEDED_TOO[distribution], distribution))
    return f"{command} {distribution} (in a clone: {command} {folders})"
