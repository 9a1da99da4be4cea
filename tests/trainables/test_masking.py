import pytest

from trainables.masking import MASK, mask

SECRET = "correct-horse-battery"


@pytest.mark.parametrize(
    "name",
    [
        *("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "HF_TOKEN"),
        *("WANDB_API_KEY", "OPENAI_APIKEY", "DB_PASSWORD", "PASSWORD", "RAY_AUTH_TOKEN"),
        *("AZURE_STORAGE_KEY", "AZURE_STORAGE_CONNECTION_STRING", "my_secret", "PRIVATE_KEY"),
    ],
)
def test_the_value_of_a_credential_is_masked_wherever_it_stands(name: str) -> None:
    assert mask(f"x{SECRET}y {SECRET}", {name: SECRET}) == f"x{MASK}y {MASK}"


@pytest.mark.parametrize(
    "name",
    [
        *("HOME", "PWD", "PATH", "TOKENIZERS_PARALLELISM", "GOOGLE_APPLICATION_CREDENTIALS"),
        *("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "SECRETARY", "MONKEY", "KEYBOARD"),
    ],
)
def test_the_value_of_any_other_variable_is_not(name: str) -> None:
    assert mask(f"in {SECRET}", {name: SECRET}) == f"in {SECRET}"


def test_a_value_too_short_to_be_a_secret_does_not_spoil_the_text() -> None:
    assert mask("1 trial is true", {"A_TOKEN": "1", "B_TOKEN": "true", "C_TOKEN": ""}) == (
        "1 trial is true"
    )


def test_a_secret_within_another_does_not_leave_the_rest() -> None:
    assert mask("abcdefghij", {"A_TOKEN": "abcdef", "B_TOKEN": "abcdefghij"}) == MASK


def test_every_line_of_a_key_is_masked() -> None:
    assert mask("found MIIEvgIBADAN", {"TLS_PRIVATE_KEY": "-----BEGIN\nMIIEvgIBADAN\n"}) == (
        f"found {MASK}"
    )


def test_a_token_file_that_ends_in_a_newline_is_known_without_it() -> None:
    assert mask(f"got {SECRET}.", {"A_TOKEN": f"{SECRET}\n"}) == f"got {MASK}."


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("s3://key:secret@bucket/a b@c", "s3://***@bucket/a b@c"),
        ("http://user@host", "http://***@host"),
        ("redis://:p@ss@host:1/0", "redis://***@host:1/0"),
        ("'https://u:p@h/x'", "'https://***@h/x'"),
        ("s3://bucket/who@where", "s3://bucket/who@where"),
        ("mail a@b.c", "mail a@b.c"),
        ("http://h/x?a=1&X-Amz-Signature=ab12&b=2", "http://h/x?a=1&X-Amz-Signature=***&b=2"),
        ("https://h/?token=t0k/en", "https://h/?token=***"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("pad_token=3, tokens=4", "pad_token=3, tokens=4"),
        ("the Basic model", "the Basic model"),
    ],
)
def test_what_a_url_or_header_gives_away_is_masked(text: str, masked: str) -> None:
    assert mask(text, {}) == masked


def test_the_environment_is_by_default_that_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    assert mask(f"with {SECRET}") == f"with {MASK}"
