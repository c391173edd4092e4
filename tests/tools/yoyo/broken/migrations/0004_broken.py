# SPDX-License-Identifier: Apache-2.0
from yoyo import step

__depends__ = {"0003_email"}

steps = [
    step("INSERT INTO no_such_table (id) VALUES (1)"),
]
