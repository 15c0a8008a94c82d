"""Prints each test of a JUnit XML report as "ok|fail|skip<TAB>class.name<TAB>message"."""

import sys
import xml.etree.ElementTree as ElementTree

for case in ElementTree.parse(sys.argv[1]).getroot().iter("testcase"):
    name = case.get("classname", "").removeprefix("tests.").removeprefix("test.") + "." + case.get("name", "")
    outcome, detail = "ok", ""
    for child in case:
        if child.tag == "skipped":
            outcome, detail = "skip", child.get("message", "")
        elif child.tag in ("failure", "error"):
            outcome, detail = "fail", child.get("message", "") + " " + (child.text or "")[-900:]
    print(outcome, name, " ".join(detail.split()), sep="\t")
