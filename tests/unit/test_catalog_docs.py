"""docs/models.md lists what the catalogue has. `python tests/unit/test_catalog_docs.py` writes its table anew."""

from __future__ import annotations

from pathlib import Path

from streammatte.catalog import Model, catalog, model

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
START, END = "<!-- table -->\n", "<!-- /table -->"


def row(each: Model) -> str:
    names = " ".join(f"`{name}`" for name in (each.name, *each.aliases))
    licence = f"[{each.licence}]({each.licence_url})"
    return f"| {names} | {each.summary} | {each.task} | {licence} | {each.commercial} |\n"


def table() -> str:
    head = "| model | for | task | licence | commercial |\n|---|---|---|---|---|\n"
    return head + "".join(row(each) for each in catalog().values())


def parts() -> tuple[str, str, str]:
    """The page before, in and after the table."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    shown, _, tail = rest.partition(END)
    return head, shown, tail


def test_the_table_is_that_of_the_catalogue() -> None:
    assert parts()[1] == table(), "write it anew: see above"


def test_what_the_page_says_of_single_models_holds() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "| `bria-rmbg` `rmbg-2.0` |" in text
    unstated = [each for each in catalog().values() if not each.sha256 and not each.md5]
    assert [each.name for each in unstated if each.format != "transformers"] == ["sam"]
    theirs = [each.name for each in unstated if each.format == "transformers"]
    assert theirs == ["sam2.1-hiera-large", "sam2.1-hiera-tiny", "sam3"]
    assert all(f"`{name}`" in text for name in theirs)
    assert [each.name for each in catalog().values() if each.any_size] == ["bria-rmbg", "modnet"]
    assert model("birefnet-hr").input.width == 2048
    for name in ("sam.first.json", "licences.json", "HF_HUB_OFFLINE", "--accept-licence", "--commercial"):
        assert name in text


if __name__ == "__main__":
    before, _, after = parts()
    PAGE.write_text(f"{before}{START}{table()}{END}{after}", encoding="utf-8")
