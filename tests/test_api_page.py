"""Every public name of the package stands on the API page."""

import inspect
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import api_reference  # noqa: E402

import ntk_tutorial as ntk  # noqa: E402

PAGE = (ROOT / "book" / "api.md").read_text()


def test_every_public_name_has_a_place():
    shown = {
        name.split(".")[0] for module in api_reference.MARK.findall(PAGE) for name in api_reference.public_names(module)
    }
    public = {name for name, value in vars(ntk).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert public | set(api_reference.NAMESPACES) <= shown, (
        f"Not on the API page: {sorted(public - shown)}. Add '<!-- api: MODULE -->' to book/api.md"
    )


def test_every_public_name_says_what_it_is():
    for module in api_reference.MARK.findall(PAGE):
        for name in api_reference.public_names(module):
            value = api_reference.value_of(name)
            assert (value.__doc__ or "").strip(), f"{name} has no docstring"
