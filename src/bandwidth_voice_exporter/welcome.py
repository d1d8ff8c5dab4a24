"""The first words to a person: where things are, and how to try it."""

import sys

from bandwidth_voice_exporter.followed import Files
from bandwidth_voice_exporter.http import security
from bandwidth_voice_exporter.listeners import url
from bandwidth_voice_exporter.output import Output
from bandwidth_voice_exporter.settings import Address, Settings

_TRY_IT = """\
webhooks  {webhook}{path}
metrics   {web}{prefix}{telemetry}
pages     {web}{prefix}/

Send it one ended call:

  curl -i {user}{webhook}{path} \\
    -H 'Content-Type: application/json' \\
    -d '{{"eventType":"disconnect","callId":"try-'$(date +%Hh%Mm%Ss)'",
         "direction":"inbound","cause":"hangup",
         "startTime":"2026-01-01T12:00:00Z",
         "answerTime":"2026-01-01T12:00:05Z",
         "endTime":"2026-01-01T12:01:00Z"}}'

and see it counted:

  curl -s {web_user}{web}{prefix}{telemetry} | grep calls_total
"""


def greet(out: Output, settings: Settings, files: Files, webhook: Address, web: Address) -> None:
    """Say them to a person, or where nothing protects the listener."""
    if not sys.stdout.isatty() and settings.is_authenticated:
        return
    private = files.private.value
    out.write(
        _TRY_IT.format(
            webhook=_url(webhook, files.public.value),
            web=_url(web, private),
            path=settings.webhook_path,
            prefix=settings.web_route_prefix,
            telemetry=settings.web_telemetry_path,
            user="-u USER:PASSWORD " if settings.is_authenticated else "",
            web_user="-u USER:PASSWORD " if private.users else "",
        )
    )


def _url(address: Address, secured: security.Loaded) -> str:
    return url(address, has_tls=secured.context is not None)
