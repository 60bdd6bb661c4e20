"""arguments.py - what the command lines of compare.py and counts.py have in common."""

import argparse
import os
import re


def library(text):
    name, equals, path = text.partition("=")
    if not name or not equals or not os.path.isfile(path):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=PATH of a library that exists")
    return name, os.path.realpath(path)


def pattern(text):
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is not a regular expression: {error}") from error
