"""Closes its connection on SIGTERM, if ON_SIGTERM says how to leave after it."""

import os
import signal
import sys

import pymysql

env = os.environ
connection = pymysql.connect(
    host=env["DB_HOST"],
    port=int(env["DB_PORT"]),
    user=env["DB_USER"],
    password=env["DB_PASSWORD"],
    database=env["DB_NAME"],
)


def on_sigterm(signum, frame):
    connection.close()
    if env["ON_SIGTERM"] == "exit":
        os._exit(0)
    if env["ON_SIGTERM"] == "sys.exit":
        sys.exit(0)


if "ON_SIGTERM" in env:
    signal.signal(signal.SIGTERM, on_sigterm)


def lambda_handler(event, context):
    with connection.cursor() as cursor:
        cursor.execute("SELECT CONNECTION_ID()")
        return cursor.fetchone()[0]
