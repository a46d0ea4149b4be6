"""The steps of a login, one file each: the class of the step, its settings and its errors.

To add a step, write its file, and name its class in `STEPS` and its settings in `StepSettings`.
"""

from __future__ import annotations

from typing import Any

from scraper.login.page_driver import PageDriver
from scraper.login.steps.base import LoginStep, dead_end, public_address
from scraper.login.steps.control_panel import ControlPanel, ControlPanelSettings
from scraper.login.steps.form import LoginForm, LoginFormSettings, check_password_expired
from scraper.login.steps.http_basic import HttpBasic, HttpBasicSettings
from scraper.login.steps.second_factor import SecondFactor, SecondFactorSettings
from scraper.login.steps.server_choice import ServerChoice, ServerChoiceSettings

STEPS: tuple[type[LoginStep[Any]], ...] = (
    HttpBasic,
    ControlPanel,
    ServerChoice,
    LoginForm,
    SecondFactor,
)
"""In the order in which they are looked for on each page."""


class StepSettings(
    HttpBasicSettings,
    ControlPanelSettings,
    LoginFormSettings,
    ServerChoiceSettings,
    SecondFactorSettings,
):
    """The settings of all steps."""


def follow_steps(page: PageDriver, settings: StepSettings) -> None:
    """Does the steps that the pages ask for, until phpMyAdmin is logged in.

    Args:
        page: Shows the page at which the login begins.
        settings: The settings of all steps.

    Raises:
        NotPhpMyAdmin: The steps end on a page that is not phpMyAdmin's.
        ScrapeError: A step failed; each class says how.
    """
    steps = [step(settings) for step in STEPS]
    while step := next((step for step in steps if step.applies(page)), None):
        step.run(page)
        if not step.repeats:
            steps.remove(step)
    if page.common_param("logged_in") != "true":
        raise dead_end(page, f"The page at {public_address(page)} has no phpMyAdmin login form.")
    check_password_expired(page)
