"""Settings: every one of them is a flag and a TOML key, and a wrong one is named."""

from __future__ import annotations

import dataclasses
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from streammatte.cli.options import chosen, setting_options
from streammatte.config import Settings, flag_of, read_config
from streammatte.errors import ConfigError

FIELDS = {item.name: item for item in dataclasses.fields(Settings)}
GIVEN: dict[str, tuple[str, Any]] = {
    # a value unlike the default for every field: as TOML, and as Settings holds it
    "output": ('["a.mp4", "b.mkv"]', (Path("a.mp4"), Path("b.mkv"))),
    "matte": ('"m.mkv"', Path("m.mkv")),
    "bg": ('"blur:3"', "blur:3"),
    "fit": ('"contain"', "contain"),
    "batch": ('"2"', "2"),
    "fgr": ('"off"', "off"),
    "model": ('"selfie"', "selfie"),
    "subject": ('"largest"', "largest"),
    "prompt_model": ('"sam3"', "sam3"),
    "accept_licence": ('"bria-rmbg"', ("bria-rmbg",)),
    "commercial": ("true", True),
    "runtime": ('"onnxruntime"', "onnxruntime"),
    "require": ('"openvino"', "openvino"),
    "precision": ('"f32"', "f32"),
    "compat": ('"rembg"', "rembg"),
    "quality": ('"fast"', "fast"),
    "stabilize": ('"ema"', "ema"),
    "half_life_s": ("0.5", 0.5),
    "lookahead": ("2", 2),
    "refine": ('"guided"', "guided"),
    "refine_steps": ("12", 12),
    "refine_model": ('"vitmatte-base-composition-1k"', "vitmatte-base-composition-1k"),
    "trimap": ('"t.png"', "t.png"),
    "stride": ("4", 4),
    "tta": ('"off"', "off"),
    "student": ('"auto"', "auto"),
    "seed": ("7", 7),
    "to": ('"null"', ("null",)),
    "listen": ('"0.0.0.0"', "0.0.0.0"),
    "size": ('"1280x720"', "1280x720"),
    "fps": ('"30"', "30"),
    "mirror": ("true", True),
    "card": ('"#202020"', "#202020"),
    "governor": ('"off"', "off"),
    "target_latency_s": ("0.2", 0.2),
    "target_fps": ("25.0", 25.0),
    "control": ('"off"', "off"),
    "feather_px": ("1.5", 1.5),
    "shift_px": ("-2", -2.0),
    "despill": ("0.75", 0.75),
    "light_wrap": ("0.3", 0.3),
    "linear": ("true", True),
    "codec": ('"hevc"', "hevc"),
    "crf": ("0", 0),
    "preset": ('"slow"', "slow"),
    "pix_fmt": ('"yuv444p"', "yuv444p"),
    "start_s": ("1.5", 1.5),
    "duration_s": ("2", 2.0),
    "input_format": ('"rawvideo"', "rawvideo"),
    "input_size": ('"64x48"', "64x48"),
    "input_pix_fmt": ('"rgb24"', "rgb24"),
    "input_rate": ('"30000/1001"', "30000/1001"),
    "salvage": ("true", True),
    "force": ("true", True),
}
every = pytest.mark.parametrize("name", FIELDS)


@click.command()
@setting_options()
@click.pass_context
def probe(ctx: click.Context, config_file: Path | None, **given: Any) -> None:
    """What the flags make of Settings."""
    ctx.exit(chosen(given, config_file)[0])  # type: ignore[arg-type]


def from_flags(*args: str) -> Settings:
    settings = probe.main(list(args), standalone_mode=False)
    assert isinstance(settings, Settings)
    return settings


def from_toml(folder: Path, text: str) -> Settings:
    (folder / "c.toml").write_text(text, encoding="utf-8")
    return Settings(**read_config(folder / "c.toml"))


def words(toml: str) -> list[str]:
    """TOML strings and numbers as a shell would give them."""
    return re.findall(r'[^"\[\], ]+', toml)


def key(name: str) -> str:
    return flag_of(name).removeprefix("--")


def test_the_table_above_is_complete() -> None:
    assert set(GIVEN) == set(FIELDS)
    defaults = Settings()
    assert [name for name, (_, value) in GIVEN.items() if getattr(defaults, name) == value] == []


@every
@pytest.mark.usefixtures("own_settings")
def test_every_setting_is_a_flag(name: str) -> None:
    toml, value = GIVEN[name]
    is_switch = FIELDS[name].type == "bool"
    args = [flag_of(name)] if is_switch else [arg for word in words(toml) for arg in (flag_of(name), word)]
    assert from_flags(*args) == Settings(**{name: value})


@every
def test_every_setting_is_a_toml_key(tmp_path: Path, name: str) -> None:
    toml, value = GIVEN[name]
    if name == "output":
        value = tuple(tmp_path / path for path in value)
    if name == "matte":
        value = tmp_path / value
    assert from_toml(tmp_path, f"{key(name)} = {toml}") == Settings(**{name: value})


@every
def test_every_flag_is_explained_with_its_default(name: str) -> None:
    shown = " ".join(CliRunner().invoke(probe, ["--help"], terminal_width=200).output.split())
    item = FIELDS[name]
    flag = re.escape(flag_of(name))
    assert re.search(rf"{flag}\b", shown)
    assert item.metadata["help"].split("  [")[0] in shown
    for choice in item.metadata.get("choices", ()):
        assert choice in shown
    if isinstance(item.default, str | float) and not isinstance(item.default, bool):
        assert f"[default: {item.default}]" in shown


@pytest.mark.usefixtures("own_settings")
def test_no_flag_is_the_default() -> None:
    assert from_flags() == Settings()


@pytest.mark.usefixtures("own_settings")
def test_short_flags() -> None:
    assert from_flags("-o", "a.mp4", "-o", "b.mp4", "-m", "selfie") == Settings(
        output=(Path("a.mp4"), Path("b.mp4")), model="selfie"
    )


# the file


WRONG = [
    ("crt = 3", "crt", "no such setting; one of output, matte"),
    ("half_life_s = 1", "half_life_s", "no such setting"),  # the flag's name is the key's
    ("crf = 'low'", "crf", "expected int, got 'low'"),
    ("crf = true", "crf", "expected int, got True"),
    ("crf = 1.5", "crf", "expected int, got 1.5"),
    ("half-life = '1'", "half-life", "expected float, got '1'"),
    ("start = true", "start", "expected float, got True"),
    ("force = 1", "force", "expected bool, got 1"),
    ("model = 3", "model", "expected str, got 3"),
    ("input-rate = true", "input-rate", "expected str, got True"),
    ("matte = 3", "matte", "expected Path, got 3"),
    ("output = ['a', 1]", "output", r"expected tuple\[Path, ...\], got \['a', 1\]"),
    ("[bg]", "bg", "expected str, got {}"),
]


@pytest.mark.parametrize(("text", "name", "message"), WRONG, ids=[case[0] for case in WRONG])
def test_a_wrong_key_or_type_is_named_with_its_file(tmp_path: Path, text: str, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        from_toml(tmp_path, text)
    line = str(caught.value)
    assert str(tmp_path / "c.toml") in line
    assert name in line
    assert "\n" not in line


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"c\.toml is not TOML"):
        from_toml(tmp_path, "crf 3")
    (tmp_path / "c.toml").write_bytes(b"model = '\xff'")
    with pytest.raises(ConfigError, match=r"c\.toml is not TOML"):
        read_config(tmp_path / "c.toml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*c\.toml: No such file.*; check the path"):
        read_config(tmp_path / "c.toml")
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(tmp_path)


def test_paths_are_relative_to_the_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    elsewhere.mkdir()
    (home / "beach.jpg").touch()
    (home / "c.toml").write_text('output = "out/a.mp4"\nmatte = "/abs/m.mkv"\nbg = "beach.jpg"\n')
    monkeypatch.chdir(elsewhere)
    settings = Settings(**read_config(Path("../home/c.toml")))
    assert settings.output == (Path("../home/out/a.mp4"),)
    assert settings.matte == Path("/abs/m.mkv")
    assert settings.bg == "../home/beach.jpg"


@pytest.mark.parametrize("bg", ["red", "#aabbcc", "none", "blur:4", "lavfi:testsrc2", "https://host/a.mp4"])
def test_a_background_that_is_no_file_stays_as_it_is(tmp_path: Path, bg: str) -> None:
    assert from_toml(tmp_path, f"bg = '{bg}'").bg == bg


def test_rates_may_be_numbers(tmp_path: Path) -> None:
    assert from_toml(tmp_path, "input-rate = 25").rate() == 25
    assert from_toml(tmp_path, "input-rate = 29.97").rate() == Fraction(2997, 100)


def test_flags_win_over_the_file_and_the_file_over_the_users_own(tmp_path: Path, own_settings: Path) -> None:
    (own_settings / "config.toml").write_text("crf = 1\nsalvage = true\nmodel = 'own'\n")
    assert from_flags() == Settings(crf=1, salvage=True, model="own")
    assert from_flags("--crf", "0") == Settings(crf=0, salvage=True, model="own")
    (tmp_path / "c.toml").write_text("crf = 2\nforce = true\n")
    assert from_flags("--config", str(tmp_path / "c.toml")) == Settings(crf=2, force=True)
    assert from_flags("--config", str(tmp_path / "c.toml"), "--crf", "3") == Settings(crf=3, force=True)


# ranges


@pytest.mark.parametrize("name", [name for name, item in FIELDS.items() if "choices" in item.metadata])
def test_a_choice_outside_the_list_is_named(name: str) -> None:
    with pytest.raises(
        ConfigError, match=f"{flag_of(name)}: unknown 'x'; one of {FIELDS[name].metadata['choices'][0]}"
    ):
        Settings(**{name: "x"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("start_s", -0.1),
        ("start_s", float("nan")),
        ("start_s", float("inf")),
        ("duration_s", 0.0),
        ("duration_s", -1.0),
        ("duration_s", float("inf")),
        ("half_life_s", 0.0),
        ("half_life_s", float("nan")),
        ("lookahead", -1),
        ("lookahead", 31),
        ("refine_steps", 0),
        ("refine_steps", 101),
        ("stride", 0),
        ("stride", 61),
        ("feather_px", -1.0),
        ("feather_px", float("nan")),
        ("shift_px", 100.5),
        ("shift_px", float("-inf")),
        ("despill", -0.1),
        ("despill", 1.1),
        ("light_wrap", 2.0),
        ("crf", -1),
        ("crf", 64),
    ],
)
def test_a_number_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"^{flag_of(name)}: must be .*, got {value:g}") as caught:
        Settings(**{name: value})
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("start_s", 0.0),
        ("crf", 0),
        ("crf", 63),
        ("duration_s", 1e-6),
        ("lookahead", 0),
        ("lookahead", 30),
        ("refine_steps", 1),
        ("stride", 1),
        ("stride", 60),
        ("feather_px", 200.0),
        ("shift_px", -100.0),
        ("despill", 1.0),
        ("light_wrap", 1.0),
    ],
)
def test_the_ends_of_the_ranges_are_in_them(name: str, value: float) -> None:
    assert getattr(Settings(**{name: value}), name) == value


def test_size_and_rate() -> None:
    assert (Settings().size_px(), Settings().rate()) == (None, None)
    settings = Settings(input_size="1280X720", input_rate="30000/1001")
    assert (settings.size_px(), settings.rate()) == ((1280, 720), Fraction(30000, 1001))


@pytest.mark.parametrize("size", ["1280", "1280x", "x720", "0x720", "-1x2", "1.5x2", "axb", "1280x720x3", "²x2", ""])
def test_bad_sizes(size: str) -> None:
    with pytest.raises(ConfigError, match="--input-size: expected WIDTHxHEIGHT"):
        Settings(input_size=size).size_px()


@pytest.mark.parametrize("rate", ["0", "-25", "25/0", "fast", "nan", "inf", ""])
def test_bad_rates(rate: str) -> None:
    with pytest.raises(ConfigError, match="--input-rate: expected frames a second"):
        Settings(input_rate=rate).rate()


def test_settings_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().crf = 3  # type: ignore[misc]
