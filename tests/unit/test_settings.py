"""Settings that there were, and names that there never were."""

import pytest

from entrypoints.settings import RETIRED, Settings, SettingsError, retired_settings


@pytest.mark.parametrize("name", RETIRED)
def test_a_former_setting_is_accepted_and_told_of(name: str) -> None:
    assert Settings.from_env({name: "60"}) == Settings()

    [sentence] = retired_settings({name: "60", "PATH": "/bin"})

    assert sentence.startswith(f"{name} has no effect")
    assert retired_settings({name: ""}) == retired_settings({}) == []


def test_a_name_that_never_was_a_setting_is_refused() -> None:
    with pytest.raises(SettingsError, match="CHATKEEP_OPENAI_RETRY_MINUTES"):
        Settings.from_env({"CHATKEEP_OPENAI_RETRY_MINUTES": "1"})
