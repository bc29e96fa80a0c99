"""What an operator can choose: read as written, and every mistake named by file and key."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chengshu import config
from chengshu.kernel.errors import Invalid, NotFound

NODE = '[node]\nhandle = "road"\nname_en = "Road"\nname_zh = "道路"\n'


def put(folder: Path, text: str) -> Path:
    """Write the folder's settings."""
    (folder / config.FILE_NAME).write_text(text, encoding="utf-8")
    return folder


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    settings = config.load(put(tmp_path, NODE))
    assert (settings.serve.address, settings.cleanroom.enabled) == ("http://127.0.0.1:8700", False)


def test_others_are_told_the_public_address_where_there_is_one(tmp_path: Path) -> None:
    settings = config.load(put(tmp_path, NODE + '[serve]\nport = 8701\npublic_url = "https://road.example"\n'))
    assert settings.serve.address == "https://road.example"


def test_a_folder_without_a_node_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        config.load(tmp_path)
    assert caught.value.code == "node.absent"
    assert "chengshu node init" in caught.value.hint.en
    assert "chengshu node init" in caught.value.hint.zh


MISTAKES = {
    "an unknown key": (NODE + "colour = 3\n", "node.colour"),
    "an unknown section": (NODE + "[sevre]\nport = 1\n", "sevre"),
    "text for a number": (NODE + '[serve]\nport = "eighty"\n', "serve.port"),
    "a port that does not exist": (NODE + "[serve]\nport = 65536\n", "serve.port"),
    "a wait of nothing": (NODE + "[cleanroom]\ninput_wait_s = 0\n", "cleanroom.input_wait_s"),
    "a seal of another kind": (NODE + '[cleanroom]\nmethod_seal = "none"\n', "cleanroom.method_seal"),
    "no memory for methods": (NODE + "[cleanroom]\nmethod_memory_mib = 10\n", "cleanroom.method_memory_mib"),
    "no processor for methods": (NODE + "[cleanroom]\nmethod_cpu_s = 0\n", "cleanroom.method_cpu_s"),
    "no threads": (NODE + "[cleanroom]\nthreads = 0\n", "cleanroom.threads"),
    "a handle in capitals": (NODE.replace('"road"', '"Road"'), "node.handle"),
    "no name": (NODE.replace('name_zh = "道路"\n', ""), "node.name_zh"),
    "an empty name": (NODE.replace('"道路"', '""'), "node.name_zh"),
    "no node at all": ("[serve]\nport = 1\n", "node"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_by_file_and_key(tmp_path: Path, mistake: str) -> None:
    text, key = MISTAKES[mistake]
    with pytest.raises(Invalid) as caught:
        config.load(put(tmp_path, text))
    assert caught.value.code == "config.invalid"
    assert caught.value.message.startswith(f"chengshu.toml: at {key}: ")
    assert str(tmp_path / config.FILE_NAME) in caught.value.hint.en


def test_a_file_that_is_no_toml_is_said_so_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        config.load(put(tmp_path, NODE + "port: 8701\n"))
    assert caught.value.message.startswith("chengshu.toml: expected TOML, got:")
    assert "line 5" in caught.value.message


NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=120)


@given(name_en=NAME, name_zh=NAME, port=st.integers(1, 65535), enabled=st.booleans(), wait=st.floats(0.001, 1e6))
def test_what_was_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, name_en: str, name_zh: str, port: int, enabled: bool, wait: float
) -> None:
    folder = tmp_path_factory.mktemp("settings", numbered=True)
    settings = config.Settings(
        node=config.NodeSection(handle="road", name_en=name_en, name_zh=name_zh),
        serve=config.ServeSection(port=port),
        cleanroom=config.CleanroomSection(enabled=enabled, input_wait_s=wait),
    )
    config.write(folder, settings)
    assert config.load(folder) == settings


def test_a_name_with_a_control_character_is_read_as_it_was_written(tmp_path: Path) -> None:
    settings = config.Settings(node=config.NodeSection(handle="road", name_en="Road\r\x08\x7f", name_zh="道路"))
    config.write(tmp_path, settings)
    assert config.load(tmp_path) == settings


def test_settings_cannot_be_changed_while_the_node_runs(tmp_path: Path) -> None:
    settings = config.load(put(tmp_path, NODE))
    with pytest.raises(ValidationError):
        settings.serve.port = 1


ANCHOR = {"chain": "evm", "url": "http://127.0.0.1:8545", "contract": "0x" + "12" * 20}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ('[anchor]\n# ours\nevery_hours = 6\nchain = "fisco"\n\n', "# ours\nevery_hours = 6\n"),
        ('[anchor]\nurl = "http://old.example"\n', ""),
    ],
)
def test_setting_the_anchor_contract_leaves_every_other_line(tmp_path: Path, before: str, after: str) -> None:
    rest = "[serve]\nport = 8701 # mine\n"
    head = '[node]\nhandle = "road"\nname_en = "Road"\nname_zh = "道路"\n\n'
    (tmp_path / config.FILE_NAME).write_text(head + before + rest, encoding="utf-8")
    settings = config.set_anchor(tmp_path, **ANCHOR, account=None)
    text = (tmp_path / config.FILE_NAME).read_text(encoding="utf-8")
    assert settings.anchor.model_dump(include=set(ANCHOR)) == ANCHOR
    assert [line for line in (head + after + rest).splitlines() if line and line not in text.splitlines()] == []
    assert settings.anchor.every_hours == (6 if after else None)
    assert config.set_anchor(tmp_path, **ANCHOR, account=None) == settings
