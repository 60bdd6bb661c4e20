"""arguments.py - what the command lines of latency.py and counts.py have in common."""

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


def number(low, high):
    """A parser of whole numbers within [low, high]."""
    def parse(text):
        if not re.fullmatch(r"[0-9]{1,19}", text) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not a number from {low} to {high}")
        return int(text)
    return parse


def parser(description):
    """With the options that both have."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--lib", metavar="NAME=PATH", type=library, action="append", default=[],
                        help="one more allocator, or another library for a name")
    result.add_argument("--json", metavar="FILE", help="write all figures to FILE")
    result.add_argument("--build", metavar="DIR", default="build", help="where libhakmem.so and bench/ are (default build)")
    return result
