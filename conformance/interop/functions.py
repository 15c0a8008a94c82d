#!/usr/bin/env python3
"""Writes which C_* each client was seen to call and what came back, and how many of its checks passed: functions.csv,
counts.csv, functions.md, and the compact table in README.md. `functions.py DIRECTORY` takes what a run of run.sh left
there; clients that did not run keep their rows."""

import collections
import csv
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
CLIENTS = ["conformance", "pkcs11-tool", "openssl-engine", "openssl-provider", "java", "openssh", "gnutls", "nss", "nginx",
           "python-pkcs11", "pykcs11", "cryptoki", "opensc-p11test", "softhsm-p11test"]
COUNTS = ["passed", "failed", "waived", "skipped"]
BEGIN = "<!-- functions: written by conformance/interop/functions.py -->"
END = "<!-- end of functions -->"
# Chapters of PKCS#11 3.2, section 5, by what the names of their functions match; the first that matches counts.
CHAPTERS = [
    ("general purpose (5.4)", r"C_(Initialize|Finalize|GetInfo|GetFunctionList|GetInterface.*)$"),
    ("slots and tokens (5.5)", r"C_(GetSlot.*|GetTokenInfo|GetMechanism.*|InitToken|InitPIN|SetPIN|WaitForSlotEvent)$"),
    ("messages (5.9, 5.11, 5.14, 5.16)", r"C_.*Message.*$"),
    ("keys (5.18)", r"C_(Generate?Key.*|WrapKey.*|UnwrapKey.*|DeriveKey|EncapsulateKey|DecapsulateKey)$"),
    ("sessions (5.6)", r"C_(OpenSession|Close.*|GetSession.*|SessionCancel|.*OperationState|Login.*|Logout)$"),
    ("objects (5.7)", r"C_(.*Object.*|.*AttributeValue)$"),
    ("dual functions (5.17)", r"C_(DigestEncrypt|DecryptDigest|SignEncrypt|DecryptVerify)Update$"),
    ("encryption (5.8)", r"C_Encrypt.*$"),
    ("decryption (5.10)", r"C_Decrypt.*$"),
    ("digests (5.12)", r"C_Digest.*$"),
    ("signatures and MACs (5.13)", r"C_Sign.*$"),
    ("verification (5.15)", r"C_Verify.*$"),
    ("random numbers (5.19)", r"C_(SeedRandom|GenerateRandom)$"),
    ("parallel and asynchronous (5.20)", r"C_(GetFunctionStatus|CancelFunction|Async.*)$"),
]


def functions():
    """The functions in the order of the module's table, each with the version that brought it."""
    version, found = None, []
    for line in (TOP / "pkcs11-module/src/lib.rs").read_text().splitlines():
        if heading := re.match(r" {4}v(\d)_(\d+) \w+ \{", line):
            version = f"{heading[1]}.{heading[2]}"
        elif name := re.match(r" {8}(C_\w+)\(", line):
            found.append((name[1], version))
    return sorted(found, key=lambda pair: float(pair[1]))


def seen(directory):
    """What each client was seen to get from each function: kept rows, and those of this run in their place."""
    table = collections.defaultdict(dict)
    store = HERE / "functions.csv"
    if store.exists():
        for row in csv.DictReader(store.open()):
            table[row["client"]][row["function"]] = row["outcomes"].split()
    for calls in sorted(directory.glob("*.calls")):
        outcomes = collections.defaultdict(set)
        for line in calls.read_text().splitlines():
            function, outcome = line.split()
            outcomes[function].add(outcome)
        if outcomes:
            table[calls.stem] = {function: sorted(those) for function, those in outcomes.items()}
    with store.open("w") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["client", "function", "outcomes"])
        for client in sorted(table):
            for function in sorted(table[client]):
                writer.writerow([client, function, " ".join(table[client][function])])
    return table


def counted(directory):
    """Passed, failed, waived and skipped checks of each client: kept rows, and those of this run in their place."""
    store = HERE / "counts.csv"
    rows = {row["client"]: row for row in csv.DictReader(store.open())} if store.exists() else {}
    for client in CLIENTS:
        if (file := directory / client).is_file():
            rows[client] = dict(zip(["client", *COUNTS], file.read_text().split()))
    with store.open("w") as out:
        writer = csv.DictWriter(out, ["client", *COUNTS], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[client] for client in sorted(rows))
    return rows


def row(cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |\n"


def cell(outcomes):
    """`OK` for a call that succeeded; how many other return values were seen."""
    if not outcomes:
        return ""
    errors = len([outcome for outcome in outcomes if outcome != "CKR_OK"])
    return " ".join((["OK"] if "CKR_OK" in outcomes else []) + ([f"+{errors}"] if errors else []))


def main():
    names, table = functions(), seen(pathlib.Path(sys.argv[1]))
    clients = [client for client in CLIENTS if table.get(client)]
    full = ("# Functions by client\n\nWritten by `functions.py` from the last runs of `make interop`: OK for a function that was seen"
            " to succeed, +n for n other\nreturn values that were seen, listed below.\n\n")
    full += row(["function", "since", *clients]) + row(["---"] * (len(clients) + 2))
    for name, version in names:
        full += row([f"`{name}`", version, *(cell(table[client].get(name)) for client in clients)])
    full += "\n## Other return values\n\n"
    for name, _ in names:
        others = {client: [o for o in table[client].get(name, []) if o != "CKR_OK"] for client in clients}
        if any(others.values()):
            full += f"* `{name}`: " + "; ".join(
                f"{client} {', '.join(outcome.removeprefix('CKR_') for outcome in outcomes)}"
                for client, outcomes in others.items() if outcomes) + "\n"
    (HERE / "functions.md").write_text(full)

    compact = row(["functions of", "there are", *clients]) + row(["---"] * (len(clients) + 2))
    members = collections.defaultdict(list)
    for name, _ in names:
        members[next(title for title, pattern in CHAPTERS if re.match(pattern, name))].append(name)
    totals = [len(names)]
    for title, _ in CHAPTERS:
        counts = [sum("CKR_OK" in table[client].get(name, []) for name in members[title]) for client in clients]
        compact += row([title, len(members[title]), *(count or "" for count in counts)])
    totals += [sum("CKR_OK" in table[client].get(name, []) for name, _ in names) for client in clients]
    compact += row(["all", *totals])
    counts = counted(pathlib.Path(sys.argv[1]))
    for count in COUNTS:
        compact += row([f"checks {count}", "", *(counts.get(client, {}).get(count, "") for client in clients)])
    readme = TOP / "README.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    readme.write_text(before + BEGIN + "\n" + compact + END + rest.split(END)[1])


main()
