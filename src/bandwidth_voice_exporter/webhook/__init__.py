"""The public listener's application: a delivery in, a recorded event and an answer out."""

from bandwidth_voice_exporter.webhook.credentials import (
    Credentials,
    CredentialsError,
    read_credentials,
)
from bandwidth_voice_exporter.webhook.endpoint import Webhook
from bandwidth_voice_exporter.webhook.intake import Intake
from bandwidth_voice_exporter.webhook.routes import application

__all__ = [
    "Credentials",
    "CredentialsError",
    "Intake",
    "Webhook",
    "application",
    "read_credentials",
]
