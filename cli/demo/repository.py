"""The repository of the demo: a small Python program with one expectation that is not met yet."""

OWNER, NAME = "org", "repo"
PROMPT = (
    "Add a --shout flag to the greeting\n\n"
    "With it the whole greeting is in capitals. tests/test_greet.py already expects it of greeting()."
)

GREET = '''\
"""Greets people: python3 greet.py [NAME]"""

import argparse


def greeting(name="world"):
    return f"Hello, {name}!"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", default="world")
    options = parser.parse_args(arguments)
    print(greeting(options.name))


if __name__ == "__main__":
    main()
'''

TESTS = """\
import unittest

from greet import greeting


class GreetingTest(unittest.TestCase):
    def test_greets_the_world(self):
        self.assertEqual(greeting(), "Hello, world!")

    def test_greets_by_name(self):
        self.assertEqual(greeting("Ada"), "Hello, Ada!")

    def test_shouts(self):
        self.assertEqual(greeting("Ada", shout=True), "HELLO, ADA!")


if __name__ == "__main__":
    unittest.main()
"""

README = """\
# greet

Greets people.

    python3 greet.py Ada

Run the tests with `python3 -m unittest discover tests -t .`.
"""

FILES = {
    "README.md": README,
    "greet.py": GREET,
    "tests/__init__.py": "",
    "tests/test_greet.py": TESTS,
    ".gitignore": "__pycache__/\n",
}
