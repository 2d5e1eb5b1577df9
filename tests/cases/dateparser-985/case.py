"""Dates relative to each message's own time (dateparser issue 985).

dateparser keeps, for every combination of settings, an instance of Settings and the dictionaries and regular
expressions of every language that it tried. RELATIVE_BASE is a setting, so every new time adds a set of them.

bad:  RELATIVE_BASE is the time of the message
good: RELATIVE_BASE is always the same day, and the distance is added by hand
"""
import datetime
import sys
import dateparser

START = datetime.datetime(2024, 1, 1, 12)


def parse_bad(text, sent):
    return dateparser.parse(text, settings={"RELATIVE_BASE": sent})


def parse_good(text, sent):
    found = dateparser.parse(text, settings={"RELATIVE_BASE": START})
    return found and found + (sent - START)


def main(variant, messages):
    parse = parse_bad if variant == "bad" else parse_good
    found = 0
    for number in range(messages):
        sent = START + datetime.timedelta(minutes=number)
        found += parse("12 foo 2021", sent) is not None
    print("found", found)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bad", int(sys.argv[2]) if len(sys.argv) > 2 else 45)
