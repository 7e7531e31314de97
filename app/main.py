"""Entry point of the app. Run with `yt8m app` or `streamlit run app/main.py`."""

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

# The name tells who reads this file: a session, or the server. A process that reads shards for a session imports it
# under a third name.
if __name__ == "__main__":
    from session import run

    run()
elif __name__ == "main":
    from host_guard import HostGuard
    from upload_budget import UploadBudget

    # Streamlit sends its own files uncompressed, 8 MB for the first page. A browser asks for them once.
    app = st.App(__file__, middleware=[Middleware(HostGuard), Middleware(GZipMiddleware), Middleware(UploadBudget)])
