# SPDX-License-Identifier: Apache-2.0

from django.db import models


class User(models.Model):
    name = models.CharField(max_length=100)
    email = models.CharField(max_length=200, null=True)

    class Meta:
        db_table = "users"


class Post(models.Model):
    title = models.CharField(max_length=100)

    class Meta:
        db_table = "posts"


class Hit(models.Model):
    n = models.IntegerField()

    class Meta:
        db_table = "hits"
