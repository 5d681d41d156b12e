"""What the browser tests share."""

import pages
import pytest


@pytest.fixture(scope="module")
def browser():
    """A browser for the tests of one file."""
    with pages.browser() as browser:
        yield browser
