"""The state of a translation: calls, constants, the kernels they need, multiply-adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ecotf.errors import ConfigError
from ecotf.export.c99.arena import Arena
from ecotf.export.c99.constants import Constants
from ecotf.export.c99.network import Network, Step, Tensor
from ecotf.export.c99.quantisation import activation_range


class Translation:
    """The body of ``run_network`` and what it needs.

    Attributes
    ----------
    macs, made
        Multiply-adds, and numbers that are computed on the way.
    places
        Of the float tensors: the patch that is given, and where each output begins among the answers.
    """

    def __init__(self, network: Network, arena: Arena, constants: Constants) -> None:
        self.arena, self.constants = arena, constants
        self.kernels: set[str] = set()
        self.calls: list[str] = []
        self.structs: list[str] = []
        self.macs = 0
        self.made = sum(output.size for step in network.steps for output in step.outputs)
        self.places = {network.patch.index: "patch"}
        start = 0
        for output in network.outputs:
            self.places[output.index] = f"answers + {start}"
            start += output.size

    def call(self, text: str) -> None:
        """Append a statement."""
        self.calls.append(f"  {text}")

    def at(self, tensor: Tensor) -> str:
        """Return the address of a tensor, as a C expression."""
        if tensor.values is not None:
            return self.constants.add(f"constant_{tensor.index}", tensor.values, "weights")
        if tensor.index in self.places:
            return self.places[tensor.index]
        if tensor.index not in self.arena.offsets:
            raise ConfigError(f"--target c translates int8 networks, and {tensor.name} is {tensor.kind}")
        return f"arena + {self.arena.offsets[tensor.index]}"

    def limits(self, step: Step) -> tuple[int, int]:
        """Return the least and greatest int8 that the activation inside a step lets through."""
        found = activation_range(step.options["fusedActivationFunction"], step.outputs[0])
        if found is None:
            raise ConfigError(
                f"--target c: {step.operator} with activation {step.options['fusedActivationFunction']}, which is none "
                "of linear, relu, relu6 and relu_n1_to_1"
            )
        return found

    def struct(self, kind: str, values: Mapping[str, int | Sequence[int]]) -> str:
        """Add a constant structure and return its name; it is in the flash, so that a step takes no stack."""
        name = f"{kind}_{len(self.structs)}"
        fields = (
            f".{field} = {value if isinstance(value, int) else '{' + ', '.join(map(str, value)) + '}'}"
            for field, value in values.items()
        )
        self.structs.append(f"static const {kind} {name} = {{{', '.join(fields)}}};")
        numbers = sum(1 if isinstance(value, int) else len(value) for value in values.values())
        self.constants.count("shapes of layers", 4 * numbers)
        return name
