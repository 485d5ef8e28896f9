"""What holds for every test, those of the browser too."""

from tests.support.scratch import use_memory


def pytest_configure() -> None:
    """Before the first temporary folder is made."""
    use_memory()
