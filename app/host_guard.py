"""Which requests the server answers: those to its own name, and WebSockets of its own pages.

Streamlit accepts any name in ``Host``, so that a site whose name is made to lead to this machine (DNS rebinding) could
read the app in a browser here. It compares the origin of another page with the addresses of this machine, for which it
asks other servers.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import config

LOCAL = ("localhost", "127.0.0.1", "::1")


class HostGuard:
    """ASGI middleware that refuses requests to other names, and WebSockets from pages of other servers.

    Attributes:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers, is_socket = Headers(scope=scope), scope["type"] == "websocket"
        host, origin = headers.get("host", ""), headers.get("origin")
        is_own = _hostname(host) in (*LOCAL, str(config.get_option("browser.serverAddress")).lower())
        if is_own and (origin is None or not is_socket or origin.partition("://")[2].lower() == host.lower()):
            await self.app(scope, receive, send)
        elif is_socket:
            await send({"type": "websocket.close", "code": 1008})  # the browser gets status 403
        else:
            text = "This is not the name of the app. Start it with STREAMLIT_BROWSER_SERVER_ADDRESS=name to add one.\n"
            await PlainTextResponse(text, 403)(scope, receive, send)


def _hostname(host: str) -> str:
    """Return the name in a ``Host`` header, without the port; empty where it is invalid."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
