"""Prints the text of an HTML document, packed or not, from a file that nobody trusts."""

import gzip
import html.parser
import sys


class Text(html.parser.HTMLParser):
    skip = 0

    def handle_starttag(self, tag, attrs):
        self.skip += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.skip -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.skip and data.strip():
            print(data.strip())


path = sys.argv[1]
with (gzip.open if path.endswith(".gz") else open)(path, "rt", errors="replace") as f:
    Text().feed(f.read())
