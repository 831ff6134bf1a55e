# SPDX-License-Identifier: MIT
"""The WSGI application that Vercel's Python runtime serves as `app`."""

from frappe_enroll_sdk import EnrollSDK
from frappe_enroll_wsgi import create_app


app = create_app(EnrollSDK.from_env())
