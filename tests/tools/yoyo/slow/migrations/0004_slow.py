# SPDX-License-Identifier: Apache-2.0
from yoyo import step

__depends__ = {"0003_email"}

steps = [
    step("INSERT INTO hits (n) VALUES (1)"),
    step("SELECT pg_sleep(1)"),
]
