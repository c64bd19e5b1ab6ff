"""``ecotf recipes``: the recipes that come with ecotf, or one of them with every default written out."""

from __future__ import annotations

from collections.abc import Sequence

from ecotf.commands.console import console, make_parser, plain
from ecotf.tasks.recipe_files import recipe_descriptions

EXAMPLES = """\
examples:
  ecotf recipes
  ecotf recipes bats/field
  ecotf recipes bats/field seed=7 > mine.yaml
"""


def main(arguments: Sequence[str]) -> int:
    """List the recipes, or print one as YAML."""
    parser = make_parser("recipes", "List the recipes that come with ecotf, or print one as YAML.", EXAMPLES)
    parser.add_argument("recipe", nargs="?", metavar="NAME", help="a recipe's name, or the path of a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings of the recipe to change")
    options = parser.parse_args(arguments)
    if options.recipe is not None:
        from ecotf.tasks.recipes import load_any_recipe, recipe_text

        # As it is, so that the output can be kept as a file.
        print(recipe_text(load_any_recipe(options.recipe, options.overrides)), end="")
        return 0
    for name, description in recipe_descriptions().items():
        console.print(plain(f"{name:28} {description}"))
    return 0
