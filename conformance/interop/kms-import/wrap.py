"""Wraps keys of eight kinds for import jobs of six methods, imports them with the CLI, and has `cryptography` agree
with what they then do. Prints one line per check: ok or fail, its name, what went wrong."""

import hashlib
import hmac as hashes_hmac
import json
import os
import subprocess
import tempfile
import traceback

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

DATA = b"sixteen bytes or"
METHODS = [
    ("rsa-oaep-3072-sha1-aes-256", hashes.SHA1, True),
    ("rsa-oaep-4096-sha1-aes-256", hashes.SHA1, True),
    ("rsa-oaep-3072-sha256-aes-256", hashes.SHA256, True),
    ("rsa-oaep-4096-sha256-aes-256", hashes.SHA256, True),
    ("rsa-oaep-3072-sha256", hashes.SHA256, False),
    ("rsa-oaep-4096-sha256", hashes.SHA256, False),
]
work = tempfile.mkdtemp()


def claviger(words, fails=None):
    run = subprocess.run([os.environ["CLAVIGER"], "--format", "json", *words.split()], capture_output=True, text=True)
    if run.returncode != (fails or 0):
        raise AssertionError(f"claviger {words}: exit {run.returncode}: {run.stderr}")
    return json.loads(run.stdout) if run.stdout.strip() else None


def file(name, content):
    path = os.path.join(work, name)
    with open(path, "wb") as out:
        out.write(content)
    return path


def read(name):
    with open(os.path.join(work, name), "rb") as source:
        return source.read()


def pkcs8(key):
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def pss(hash_, length):
    return padding.PSS(padding.MGF1(hash_), length)


def aes_agrees(of, key):
    iv = os.urandom(16)
    claviger(
        f"raw-encrypt {of} --plaintext-file {file('data', DATA)} --initialization-vector-file {file('iv', iv)}"
        f" --ciphertext-file {work}/out"
    )
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    assert read("out") == encryptor.update(DATA) + encryptor.finalize()


def hmac_agrees(of, key):
    claviger(f"mac-sign {of} --input-file {file('data', DATA)} --signature-file {work}/out")
    assert read("out") == hashes_hmac.new(key, DATA, hashlib.sha256).digest()


def signs(*arguments):
    def check(of, key):
        claviger(f"asymmetric-sign {of} --input-file {file('data', DATA)} --signature-file {work}/out")
        key.public_key().verify(read("out"), DATA, *arguments)
        # What it signs itself, the daemon verifies.
        claviger(
            f"asymmetric-verify {of} --input-file {file('data', DATA)}"
            f" --signature-file {file('signature', key.sign(DATA, *arguments))}"
        )

    return check


def rsa_key(bits):
    return rsa.generate_private_key(65537, bits)


KINDS = [
    ("aes", "raw-encryption", "aes-256-cbc", os.urandom(32), aes_agrees),
    ("hmac", "mac", "hmac-sha256", os.urandom(32), hmac_agrees),
    ("p256", "asymmetric-signing", "ec-sign-p256-sha256", ec.generate_private_key(ec.SECP256R1()),
     signs(ec.ECDSA(hashes.SHA256()))),
    ("p384", "asymmetric-signing", "ec-sign-p384-sha384", ec.generate_private_key(ec.SECP384R1()),
     signs(ec.ECDSA(hashes.SHA384()))),
    ("ed25519", "asymmetric-signing", "ec-sign-ed25519", ed25519.Ed25519PrivateKey.generate(), signs()),
    ("rsa2048", "asymmetric-signing", "rsa-sign-pss-2048-sha256", rsa_key(2048),
     signs(pss(hashes.SHA256(), 32), hashes.SHA256())),
    ("rsa3072", "asymmetric-signing", "rsa-sign-pkcs1-3072-sha256", rsa_key(3072),
     signs(padding.PKCS1v15(), hashes.SHA256())),
    ("rsa4096", "asymmetric-signing", "rsa-sign-pss-4096-sha512", rsa_key(4096),
     signs(pss(hashes.SHA512(), 64), hashes.SHA512())),
]


def wrapped(job, hash_, through_aes, material):
    public = serialization.load_pem_public_key(job["publicKey"]["pem"].encode())
    oaep = padding.OAEP(padding.MGF1(hash_()), hash_(), None)
    if not through_aes:
        return public.encrypt(material, oaep)
    kek = os.urandom(32)
    return public.encrypt(kek, oaep) + keywrap.aes_key_wrap_with_padding(kek, material)


def check(name, body):
    try:
        body()
        print("ok", name, "", sep="\t", flush=True)
    except (AssertionError, InvalidSignature, ValueError, OSError):
        print("fail", name, " ".join(traceback.format_exc().split()), sep="\t", flush=True)


def main():
    claviger("keyrings create r")
    for method, _, _ in METHODS:
        claviger(f"import-jobs create {method} --keyring r --import-method {method} --protection-level software")
    for method, hash_, through_aes in METHODS:
        job = claviger(f"import-jobs wait {method} --keyring r")
        for kind, purpose, algorithm, key, agrees in KINDS:
            material = key if isinstance(key, bytes) else pkcs8(key)
            name = f"{kind}-{method}"
            of = f"--keyring r --key {name} --version 1"

            def make():
                claviger(
                    f"keys create {name} --keyring r --purpose {purpose} --default-algorithm {algorithm}"
                    " --skip-initial-version-creation --import-only"
                )

            def bring(fails=None):
                blob = wrapped(job, hash_, through_aes, material)
                claviger(
                    f"keys versions import --keyring r --key {name} --import-job {method} --algorithm {algorithm}"
                    f" --wrapped-key-file {file('blob', blob)}",
                    fails,
                )

            check(f"{name}: the key is made", make)
            if kind.startswith("rsa") and not through_aes:
                # No room for it in one RSA block: Python says so, and there is nothing to send.
                def no_room():
                    try:
                        wrapped(job, hash_, through_aes, material)
                    except ValueError:
                        return
                    raise AssertionError("it was wrapped")

                check(f"{name}: there is no room for it", no_room)
                continue
            check(f"{name}: it is imported", bring)
            check(f"{name}: it is used", lambda: agrees(of, key))


if __name__ == "__main__":
    main()
