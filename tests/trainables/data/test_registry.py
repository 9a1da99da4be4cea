"""The registry: a data set is chosen by its name, in code and in a configuration."""

import pytest
from pydantic import TypeAdapter, ValidationError

from trainables.data import DATA, AnyData
from trainables.data.ptb import PennTreebank
from trainables.data.symbols import Symbols

ANY_DATA: TypeAdapter[AnyData] = TypeAdapter(AnyData)


@pytest.mark.parametrize("name", DATA)
def test_the_key_of_a_data_set_is_the_name_its_configuration_accepts(name: str) -> None:
    config = DATA[name].model_validate({"name": name})

    assert config.name == name
    with pytest.raises(ValidationError, match="name"):
        DATA[name].model_validate({"name": f"not {name}"})


@pytest.mark.parametrize("name", DATA)
def test_a_configuration_is_read_as_the_data_set_it_names(name: str) -> None:
    assert type(ANY_DATA.validate_python({"name": name})) is DATA[name]


def test_settings_reach_the_data_set_they_belong_to() -> None:
    symbols = ANY_DATA.validate_python({"name": "symbols", "vocabulary": 16})
    ptb = ANY_DATA.validate_python({"name": "ptb", "max_tokens": 20})

    assert symbols == Symbols(name="symbols", vocabulary=16)
    assert ptb == PennTreebank(name="ptb", max_tokens=20)


def test_a_setting_of_another_data_set_is_refused() -> None:
    with pytest.raises(ValidationError, match="max_tokens"):
        ANY_DATA.validate_python({"name": "symbols", "max_tokens": 20})


@pytest.mark.parametrize("config", [{"name": "pbt"}, {}])
def test_an_unknown_name_is_refused_with_the_known_ones(config: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="name") as refusal:
        ANY_DATA.validate_python(config)

    assert refusal.value.error_count() == 1


@pytest.mark.parametrize("name", DATA)
def test_files_are_in_a_directory_and_have_a_home_with_a_checksum_or_a_source(name: str) -> None:
    data = DATA[name]
    for file in data.files:
        assert "/" in file.name or file.directory
        assert len(bytes.fromhex(file.sha256)) in (0, 32)
        assert len(bytes.fromhex(file.git_blob)) in (0, 20)
        assert len(bytes.fromhex(file.md5)) in (0, 16)
        if data.source:
            assert not file.url
        else:
            assert file.url.startswith("https://")
            assert file.sha256 or file.md5 or file.git_blob


@pytest.mark.parametrize("name", ["yahoo_small", "yelp_short", "omniglot28"])
def test_data_that_is_not_the_published_one_says_so(name: str) -> None:
    assert "NLLs are not the published ones" in DATA[name].licence
    assert "NLLs" in (DATA[name].__doc__ or "").partition("\n")[0]
