"""ML-DSA and ML-KEM (FIPS 204, FIPS 203) and SM4: what the key service makes, `cryptography` verifies and opens, and the
other way round. Prints one line per check, as wrap.py does."""

import os

from cryptography.hazmat.primitives.asymmetric import mldsa, mlkem
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from wrap import DATA, check, claviger, file, pkcs8, read, work

SIGN = {"44": (mldsa.MLDSA44PrivateKey, mldsa.MLDSA44PublicKey), "65": (mldsa.MLDSA65PrivateKey, mldsa.MLDSA65PublicKey),
        "87": (mldsa.MLDSA87PrivateKey, mldsa.MLDSA87PublicKey)}
KEM = {"768": (mlkem.MLKEM768PrivateKey, mlkem.MLKEM768PublicKey), "1024": (mlkem.MLKEM1024PrivateKey, mlkem.MLKEM1024PublicKey)}


def create(name, purpose, algorithm, options=""):
    claviger(f"keys create {name} --keyring p --purpose {purpose} --default-algorithm {algorithm} {options}")
    return f"--keyring p --key {name} --version 1"


def bring(name, algorithm, material):
    claviger(f"keys versions import --keyring p --key {name} --import-job j --algorithm {algorithm}"
             f" --target-key-file {file('material', material)}")


def public(name, kind):
    path = f"{work}/public"
    claviger(f"keys versions get-public-key 1 --keyring p --key {name} --public-key-format nist-pqc --output-file {path}")
    return kind.from_public_bytes(read("public"))


def signs(of, key):
    claviger(f"asymmetric-sign {of} --input-file {file('data', DATA)} --signature-file {work}/signature")
    key.verify(read("signature"), DATA)


def opens(of, key):
    secret, ciphertext = key.encapsulate()
    claviger(f"decapsulate {of} --ciphertext-file {file('encapsulated', ciphertext)} --shared-secret-file {work}/secret")
    assert read("secret") == secret


def main():
    claviger("keyrings create p")
    claviger("import-jobs create j --keyring p --import-method rsa-oaep-3072-sha256-aes-256 --protection-level software")
    claviger("import-jobs wait j --keyring p")
    skip = "--skip-initial-version-creation"
    for number, (private, kind) in SIGN.items():
        algorithm = f"pq-sign-ml-dsa-{number}"

        def generated():
            signs(create(f"made-{algorithm}", "asymmetric-signing", algorithm), public(f"made-{algorithm}", kind))

        def imported():
            key = private.generate()
            of = create(f"brought-{algorithm}", "asymmetric-signing", algorithm, skip)
            bring(f"brought-{algorithm}", algorithm, pkcs8(key))
            signs(of, key.public_key())
            claviger(f"asymmetric-verify {of} --input-file {file('data', DATA)}"
                     f" --signature-file {file('theirs', key.sign(DATA))}")

        check(f"{algorithm}: a generated key signs", generated)
        check(f"{algorithm}: an imported key signs and verifies", imported)
    for number, (private, kind) in KEM.items():
        algorithm = f"ml-kem-{number}"

        def generated():
            opens(create(f"made-{algorithm}", "key-encapsulation", algorithm), public(f"made-{algorithm}", kind))

        def imported():
            key = private.generate()
            of = create(f"brought-{algorithm}", "key-encapsulation", algorithm, skip)
            bring(f"brought-{algorithm}", algorithm, pkcs8(key))
            opens(of, key.public_key())

        check(f"{algorithm}: a generated key opens", generated)
        check(f"{algorithm}: an imported key opens", imported)

    def sm4():
        key, iv = os.urandom(16), os.urandom(16)
        of = create("sm4", "raw-encryption", "sm4-ctr", skip)
        bring("sm4", "sm4-ctr", key)
        claviger(f"raw-encrypt {of} --plaintext-file {file('data', DATA)} --initialization-vector-file {file('iv', iv)}"
                 f" --ciphertext-file {work}/out")
        assert read("out") == Cipher(algorithms.SM4(key), modes.CTR(iv)).encryptor().update(DATA)

    check("sm4-ctr: it is used", sm4)


main()
