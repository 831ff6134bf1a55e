# SPDX-License-Identifier: MIT
"""
For hosts and plugin authors: fakes of the three backends, faults, conformance suites.

Import from the modules: ``testing.memory`` (`MemoryStorage`), ``testing.payments``
(`FakePayments`), ``testing.lms`` (`FakeLMS`), ``testing.faults``, and
``testing.conformance`` (which needs pytest).
"""
