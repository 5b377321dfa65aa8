"""example: the programs that the documents show, so that tests can run them."""
import os
import re

from sluice_test import ROOT, check


def extract(language, name, page="docs/agents.md"):
    """The program of `page` whose first comment begins with `name:`."""
    with open(os.path.join(ROOT, page)) as file:
        blocks = re.findall(r"^```%s\n(.*?)^```$" % language, file.read(), re.MULTILINE | re.DOTALL)
    found = [b for b in blocks if re.search(r"^(# |/\* )%s:" % re.escape(name), b, re.MULTILINE)]
    check(len(found) == 1, "%d programs called %s in %s" % (len(found), name, page))
    return found[0]
