"""Takes over what an import listed."""

from pathlib import Path

from components.adopted import adopted

adopted(Path(__file__).parent / "estate" / "adoption-airbyte.json")
