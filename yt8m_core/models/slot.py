"""A method of a slot, by its registry name, with options."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from yt8m_core.errors import UserError


@dataclass(frozen=True)
class Slot:
    """The method that fills a slot: its registry name, and the options that differ from their defaults.

    >>> Slot("moe", {"experts": 16})
    Slot(name='moe', options={'experts': 16})
    >>> str(Slot("moe", {"experts": 16}))
    'moe(experts=16)'
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``name`` or ``name(option=value, …)``, where values are Python literals.

        Raises:
            UserError: The text has another form.

        >>> Slot.parse("mlp(hidden=[512, 512], layer_norm=False)")
        Slot(name='mlp', options={'hidden': [512, 512], 'layer_norm': False})
        """
        try:
            match ast.parse(text.strip(), mode="eval").body:
                case ast.Name(name):
                    return cls(name)
                case ast.Call(ast.Name(name), [], keywords) if all(keyword.arg for keyword in keywords):
                    return cls(name, {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in keywords})
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass
        raise UserError(f"cannot read '{text}'", expected="name or name(option=value, …), for example moe(experts=16)")

    def __str__(self) -> str:
        arguments = ", ".join(f"{option}={value!r}" for option, value in self.options.items())
        return f"{self.name}({arguments})" if arguments else self.name
