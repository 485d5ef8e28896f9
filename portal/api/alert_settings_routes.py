"""/api/admin: when people are told of alerts: reminders, how long channels wait for more, quiet hours."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from portal.alerts import preferences
from portal.api import alert_components as shapes
from portal.api import schema as s
from portal.api.alert_channel_routes import TAG
from portal.api.declaring import Answer, Body, admin
from portal.api.presenting import Json
from portal.database import unit_of_work
from portal.web.access import identity

PATH: Final = "/alert-settings"
SHOWN: Final = s.ref("AlertSettings")
EXAMPLE: Final = {"reminder_minutes": 60, "quiet_from": "22:00", "quiet_to": "06:00"}


@admin.endpoint("GET", PATH, tag=TAG, answers={200: Answer(about="As they are for all channels.", schema=SHOWN)})
def get_alert_settings() -> Json:
    """Say when people are told of alerts."""
    return asdict(preferences.of(identity().organization_id))


@admin.endpoint(
    "PATCH",
    PATH,
    tag=TAG,
    body=Body(schema=lambda: shapes.SETTINGS_CHANGES, example=EXAMPLE),
    answers={200: Answer(about="As they are now.", schema=SHOWN)},
)
def change_alert_settings(*, body: Mapping[str, Any]) -> Json:
    """Change when people are told of alerts; what waits to be told follows at once."""
    organization_id = identity().organization_id
    with unit_of_work():
        preferences.locked(organization_id)  # before they are read: two who change different ones both count
        wanted = replace(preferences.of(organization_id), **body)
        return asdict(preferences.change(organization_id=organization_id, wanted=wanted))
