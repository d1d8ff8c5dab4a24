"""A receiver as one writes it with FastAPI and pydantic: validated, counted, nothing stored."""

import os
import secrets
from datetime import UTC, datetime
from typing import Annotated

from fastapi import (  # type: ignore[import-not-found]  # in an environment of its own
    Depends,
    FastAPI,
    HTTPException,
    Response,
    status,
)
from fastapi.security import (  # type: ignore[import-not-found]  # as above
    HTTPBasic,
    HTTPBasicCredentials,
)
from prometheus_client import make_asgi_app
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from lab.peers import metrics
from lab.peers.limits import BodyLimit

_USER = os.environ["WEBHOOK_USERNAME"].encode()
_PASSWORD = os.environ["WEBHOOK_PASSWORD"].encode()


class Event(BaseModel):
    """The fields looked at of a disconnect or transferDisconnect event."""

    model_config = ConfigDict(alias_generator=to_camel)

    event_type: str
    event_time: datetime | None = None
    application_id: str
    call_id: str
    direction: str
    enqueued_time: datetime | None = None
    start_time: datetime | None = None
    answer_time: datetime | None = None
    end_time: datetime | None = None
    cause: str
    error_message: str | None = None
    error_id: str | None = None
    sip_response_code: int | None = None


application = FastAPI(openapi_url=None)
application.add_middleware(BodyLimit)
application.mount("/metrics", make_asgi_app())


async def may_send(credentials: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]) -> None:
    """Refuse who has other credentials."""
    is_user = secrets.compare_digest(credentials.username.encode(), _USER)
    is_password = secrets.compare_digest(credentials.password.encode(), _PASSWORD)
    if not (is_user and is_password):
        metrics.REQUESTS.labels("401").inc()
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, headers={"WWW-Authenticate": "Basic"})


@application.post(  # type: ignore[untyped-decorator]  # as above
    "/webhooks/voice", status_code=204, dependencies=[Depends(may_send)]
)
async def receive(event: Event) -> Response:
    """Count one event."""
    if event.event_type in ("disconnect", "transferDisconnect"):
        metrics.count(
            event_type=event.event_type,
            application=event.application_id,
            direction=event.direction,
            cause=event.cause,
            sip_response_code=event.sip_response_code,
            times={
                "eventTime": event.event_time,
                "enqueuedTime": event.enqueued_time,
                "startTime": event.start_time,
                "answerTime": event.answer_time,
                "endTime": event.end_time,
            },
            received=datetime.now(UTC),
        )
    metrics.REQUESTS.labels("204").inc()
    return Response(status_code=204)
