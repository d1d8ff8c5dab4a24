"""The address of the list's next page, as an answer's ``Link`` gives it."""

import aiohttp
from yarl import URL

from bandwidth_voice_exporter.reconcile.ask_error import AskError


def next_page(answer: aiohttp.ClientResponse, origin: URL) -> URL | None:
    """Return the next page's address; None after the last page.

    Raises AskError if it is not on the origin: elsewhere the token would be given away.
    """
    try:
        link = answer.links.get("next")
        if not link:
            return None
        url = URL(str(link["url"]))
        if url.absolute and url.origin() == origin and not (url.user or url.password):
            return url
    except ValueError:
        raise AskError("malformed", "the next page's address cannot be read") from None
    raise AskError("malformed", "the next page is on another host")
