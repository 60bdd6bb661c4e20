"""objects.py - what a Python program does all day: objects, dictionaries, strings, JSON. A benchmark's input.

    PYTHONHASHSEED=0 python3 objects.py [ROUNDS]

Prints one number that depends on all of it, the same wherever it runs. Without the fixed hash seed each run would lay
its dictionaries out in another way.
"""

import json
import sys


class Account:
    def __init__(self, number, owner):
        self.number, self.owner = number, owner
        self.entries = []

    def post(self, amount, text):
        self.entries.append((amount, text))

    def balance(self):
        return sum(amount for amount, _ in self.entries)


class Numbers:
    """A random sequence of our own: the same in every version of Python."""

    def __init__(self, seed):
        self.state = seed

    def below(self, count):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % count


def accounts(numbers):
    found = {}
    for i in range(12000):
        name = f"owner-{numbers.below(4000):05d}"
        account = found.setdefault(name, Account(i, name))
        account.post(numbers.below(1000) - 500, "entry %d of %s" % (i, name))
    return found


def words(numbers):
    letters = "abcdefghijklmnopqrstuvwxyz"
    text = " ".join("".join(letters[numbers.below(6)] for _ in range(2 + numbers.below(4))) for _ in range(12000))
    count = {}
    for word in text.split():
        count[word] = count.get(word, 0) + 1
    return sorted(count.items(), key=lambda item: (-item[1], item[0]))


def through_json(found):
    plain = [{"number": a.number, "owner": a.owner, "balance": a.balance(), "entries": a.entries}
             for a in found.values()]
    return json.loads(json.dumps(plain))


def blocks(numbers):
    """Buffers of all sizes up to 64 KiB, most of which die soon."""
    kept = [b""] * 64
    for i in range(4000):
        kept[numbers.below(64)] = bytes([i % 256]) * numbers.below(1 << numbers.below(17))
    return sum(map(len, kept))


def main(rounds):
    check = 0
    for seed in range(rounds):
        numbers = Numbers(seed)
        plain = through_json(accounts(numbers))
        check += sum(a["balance"] * len(a["entries"]) for a in plain)
        check += sum(count * len(word) for word, count in words(numbers)[:1000])
        check += blocks(numbers)
    print(check)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
