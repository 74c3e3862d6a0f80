"""The health check: exits with 0 when the application and its database answer."""

import sys
import urllib.request

try:
    with urllib.request.urlopen("http://127.0.0.1:8000/healthz", timeout=2) as answer:
        sys.exit(0 if answer.status == 200 else 1)
except OSError as error:
    sys.exit(str(error))
