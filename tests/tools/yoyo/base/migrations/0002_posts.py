# SPDX-License-Identifier: Apache-2.0
from yoyo import step

__depends__ = {"0001_users"}

steps = [
    step("CREATE TABLE posts (id integer PRIMARY KEY, title varchar(100) NOT NULL)"),
    step("CREATE TABLE hits (n integer NOT NULL)"),
    step("INSERT INTO posts (id, title) VALUES (1, 'first')"),
]
