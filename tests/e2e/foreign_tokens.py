# SPDX-License-Identifier: MIT
"""Signed tokens of an implementation that isn't ours: Debian's python3-jwt makes the keys' file and the tokens, right
ones and forged ones. And docs/gateway.md: the page's commands give one user one topic.
"""
import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from gateway import Gateway, expect, expect_equal, run, scratch, skip
from wire import Http, Lines, Sse, WebSocket, ask

try:
    import jwt
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm
except ImportError:
    skip("there is no python3-jwt, or no python3-cryptography")

SECRET = os.urandom(32)
PRIVATE = {"RS256": rsa.generate_private_key(65537, 2048), "ES256": ec.generate_private_key(ec.SECP256R1()),
           "EdDSA": ed25519.Ed25519PrivateKey.generate(), "HS256": SECRET}
RIGHTS = {"subscribe": ["user.${sub}.>"], "publish": ["chat"], "name": "Alice"}
ISSUER, AUDIENCE = "https://login.example.org", "feed"
WRONG_SIGNATURE = "the token's signature is wrong"
UNKNOWN_KEY = "the token is signed with a key that isn't known here"
NO_TOKEN = "the token is no JSON Web Token"
UNKNOWN_TOKEN = "unknown token"  # of the file: the text doesn't have the form of a signed one
OTHER_ALGORITHM = "the token is signed by another algorithm than HS256, RS256, ES256 and EdDSA"
WRONG_TIME = "exp, nbf and iat of the token are Unix times"


def public_key(algorithm):
    return PRIVATE[algorithm].public_key()


def json_web_keys():
    """A set with a key for each algorithm, of which each has its algorithm as id."""
    makers = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
    keys = [{**as_object(maker, public_key(algorithm)), "kid": algorithm} for algorithm, maker in makers.items()]
    secret = {"kty": "oct", "k": base64.urlsafe_b64encode(SECRET).rstrip(b"=").decode(), "alg": "HS256", "kid": "HS256"}
    return {"keys": [*keys, secret, {"kty": "RSA", "use": "enc", "kid": "not for signatures"}]}


def as_object(maker, key):
    if maker is not ECAlgorithm:
        return json.loads(maker.to_jwk(key))
    numbers = key.public_numbers()  # python3-jwt 2.6 can't write these
    return {"kty": "EC", "crv": "P-256",
            **{name: jwt.utils.base64url_encode(getattr(numbers, name).to_bytes(32, "big")).decode() for name in "xy"}}


def write(text):
    """A file of its owner's alone."""
    with tempfile.NamedTemporaryFile("wb", dir=scratch, delete=False) as file:
        file.write(text)
    return file.name


def pem(*algorithms):
    return b"".join(public_key(algorithm).public_bytes(serialization.Encoding.PEM,
                                                       serialization.PublicFormat.SubjectPublicKeyInfo)
                    for algorithm in algorithms)


def claims(**changes):
    """Good ones but for the changes; None leaves one out."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "jti": "1", "iat": now, "nbf": now, "exp": now + 600,
            "fluxbp": RIGHTS, **changes}
    return {name: value for name, value in good.items() if value is not None}


def token(algorithm="EdDSA", headers=None, **changes):
    return jwt.encode(claims(**changes), PRIVATE[algorithm], algorithm=algorithm, headers=headers)


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def algorithm_header(algorithm):
    return encode(json.dumps({"alg": algorithm}).encode())


def signed_text(text):
    """A token of claims that the library doesn't write."""
    body = f"{algorithm_header('EdDSA')}.{encode(text)}"
    return f"{body}.{encode(PRIVATE['EdDSA'].sign(body.encode()))}"


def start_gateway(keys=None):
    path = write(json.dumps(json_web_keys()).encode() if keys is None else keys)
    return Gateway("--jwt-keys", path, "--jwt-issuer", ISSUER, "--jwt-audience", AUDIENCE, trusts_loopback=False)


def publish(http, shown, topic="chat"):
    """(status, error or None)"""
    answer = http.ask("POST", f"/api/v1/publish?topic={topic}", b"x", [f"Authorization: Bearer {shown}"])
    return answer.status, answer.json().get("error")


def every_algorithm_and_every_way_to_show_a_token():
    gateway = start_gateway()
    for algorithm in PRIVATE:
        for headers in (None, {"kid": algorithm}):
            shown = token(algorithm, headers, aud=["another", AUDIENCE])
            http = Http(gateway.http)
            expect_equal(publish(http, shown), (200, None), f"{algorithm}: a header")
            expect_equal(publish(http, shown, "news")[0], 403, f"{algorithm}: another topic")
            http.close()
            for path, wanted in ((f"/sse?topic=user.alice.mail&token={shown}", 200),
                                 (f"/sse?topic=user.bob.mail&token={shown}", 403)):
                events = Sse(gateway.http, path)
                expect_equal(events.status, wanted, f"{algorithm}: {path[:26]}")
                events.close()
            websocket = WebSocket(gateway.http, f"/ws?topic=user.alice.mail&token={shown}")
            expect_equal(websocket.ask_command("PUB user.bob.mail x")[:5], "-ERR ", f"{algorithm}: a WebSocket")
            expect_equal(websocket.ask_command("PUB chat x")[:8], "+OK PUB ", f"{algorithm}: a WebSocket")
            websocket.close()
            lines = Lines(gateway.lines)
            expect_equal(lines.ask(f"AUTH {shown}"), "+OK AUTH subscribe publish", f"{algorithm}: AUTH")
            lines.close()
    gateway.stop()


def keys_in_pem_are_tried_one_after_the_other():
    gateway = start_gateway(pem("RS256", "ES256", "EdDSA"))
    http = Http(gateway.http)
    for algorithm in ("RS256", "ES256", "EdDSA"):
        expect_equal(publish(http, token(algorithm, {"kid": "any"})), (200, None), algorithm)
    expect_equal(publish(http, token("HS256")), (401, UNKNOWN_KEY), "a secret that the gateway doesn't have")
    gateway.stop()


def cut(shown, part, change):
    parts = shown.split(".")
    parts[part] = change(parts[part])
    return ".".join(parts)


def forged_tokens():
    """(name, token, the error)"""
    now = int(time.time())
    header, body, _ = token().split(".")
    der = ec.ECDSA(hashes.SHA256())
    es256 = token("ES256").rsplit(".", 1)[0]
    good = token()
    yield "no algorithm", jwt.encode(claims(), None, algorithm="none"), OTHER_ALGORITHM
    yield "none in other letters", f"{algorithm_header('nOnE')}.{body}.", OTHER_ALGORITHM
    yield "an algorithm of the same key", jwt.encode(claims(), PRIVATE["RS256"], algorithm="PS256"), OTHER_ALGORITHM
    for algorithm in ("RS256", "ES256", "EdDSA"):
        unsigned = f"{algorithm_header('HS256')}.{body}"
        for secret in (pem(algorithm), pem(algorithm).strip()):
            signature = HMACAlgorithm(HMACAlgorithm.SHA256).sign(unsigned.encode(), secret)
            yield f"the public {algorithm} key as a secret", f"{unsigned}.{encode(signature)}", WRONG_SIGNATURE
    yield "the id of a key of another algorithm", token("EdDSA", {"kid": "RS256"}), UNKNOWN_KEY
    yield "an unknown key", token("EdDSA", {"kid": "another"}), UNKNOWN_KEY
    yield "a key that isn't ours", jwt.encode(claims(), ed25519.Ed25519PrivateKey.generate(), "EdDSA"), WRONG_SIGNATURE
    yield "claims of another token", f"{header}.{token(sub='bob').split('.')[1]}.{good.split('.')[2]}", WRONG_SIGNATURE
    yield "ES256 in ASN.1", f"{es256}.{encode(PRIVATE['ES256'].sign(es256.encode(), der))}", WRONG_SIGNATURE
    yield "ES256 of zeros", f"{es256}.{encode(bytes(64))}", WRONG_SIGNATURE
    for algorithm in PRIVATE:
        shown = token(algorithm)
        yield f"{algorithm} cut off", cut(shown, 2, lambda text: text[:-4]), WRONG_SIGNATURE
        yield f"{algorithm} and more bytes", cut(shown, 2, lambda text: encode(decode(text) + b"\0")), WRONG_SIGNATURE
        yield f"{algorithm} without a signature", cut(shown, 2, lambda text: ""), WRONG_SIGNATURE
        yield f"{algorithm} and a letter", shown + "A", WRONG_SIGNATURE
        yield f"{algorithm} with padding", shown + "=", WRONG_SIGNATURE
    yield "a header with padding", cut(good, 0, lambda text: text + "=="), NO_TOKEN
    yield "four parts", good + ".e30", UNKNOWN_TOKEN
    yield "a critical extension", token(headers={"crit": ["b64"], "b64": True}), \
        "the token's header asks for something that isn't known here (crit, or a kid that is no text)"
    yield "expired", token(exp=now - 1), "the token has expired"
    yield "without an end", token(exp=None), "the token has no end: it needs exp"
    yield "an end that is text", signed_text(json.dumps(claims(exp=str(now + 600))).encode()), WRONG_TIME
    yield "an end without one", signed_text(b'{"exp":1e400}'), NO_TOKEN
    yield "not yet", token(nbf=now + 600), "the token isn't good yet"
    yield "another issuer", token(iss=ISSUER + "/"), "the token is of another issuer"
    yield "no issuer", token(iss=None), "the token is of another issuer"
    yield "another audience", token(aud=["feeds", "fee"]), "the token is for another audience"
    yield "no audience", token(aud=None), "the token is for another audience"
    yield "an audience twice", signed_text(json.dumps(claims(aud="a")).encode()[:-1] + b',"aud":"feed"}'), NO_TOKEN
    yield "deep claims", signed_text(b'{"exp":' + b"[" * 2500), NO_TOKEN
    yield "an array", signed_text(b"[]"), NO_TOKEN
    yield "bytes behind the claims", signed_text(json.dumps(claims()).encode() + b"{}"), NO_TOKEN
    yield "NUL in the subject", token(sub="alice\0"), NO_TOKEN
    yield "a subject that is a pattern", token(sub="*"), \
        "a topic in it is no pattern, or has ${sub} and the subject is no part of a topic's name"
    yield "a subject of two parts", token(sub="alice.bob"), \
        "a topic in it is no pattern, or has ${sub} and the subject is no part of a topic's name"
    yield "no subject for the patterns", token(sub=None), \
        "a topic in it is no pattern, or has ${sub} and the subject is no part of a topic's name"
    yield "no pattern", token(fluxbp={"publish": ["a.>.b"]}), \
        "a topic in it is no pattern, or has ${sub} and the subject is no part of a topic's name"
    yield "no rights", token(fluxbp=None), "the token gives nothing: it has no claim fluxbp"
    yield "rights for nothing", token(fluxbp={"name": "x"}), "the token gives nothing: its claim fluxbp has no topics"


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def a_forged_token_gives_nothing_and_the_client_reads_why():
    gateway = start_gateway()
    http = Http(gateway.http)
    for name, shown, error in forged_tokens():
        lines = Lines(gateway.lines)  # a connection may make ten errors
        expect_equal(lines.ask(f"AUTH {shown}"), f"-ERR {error}", f"{name}: AUTH")
        lines.close()
        expect_equal(publish(http, shown), (401, error), name)
    expect_equal(publish(http, token()), (200, None), "a good token on the same connection")
    long = token(jti="x" * 255, fluxbp={"publish": [f"chat.{i:0100}" for i in range(70)]})
    expect(len(long) > 8192, "the token is long")
    lines = Lines(gateway.lines)
    for shown, answer in ((token(), "+OK AUTH subscribe publish"), (long, "-ERR the token is too long")):
        expect_equal(lines.ask(f"AUTH {shown}"), answer, "a client that may publish may send long commands")
    gateway.stop()


def a_changed_letter_is_found_wherever_it_is():
    gateway = start_gateway()
    http = Http(gateway.http)
    for algorithm in PRIVATE:
        shown = token(algorithm)
        for place in range(0, len(shown), 7):
            letter = "B" if shown[place] == "A" else "A"
            changed = shown[:place] + letter + shown[place + 1:]
            status, error = publish(http, changed)
            expect_equal(status, 401, f"{algorithm}, letter {place}: {error}")
    gateway.stop()


def the_page_gives_one_user_one_topic():
    page = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "gateway.md")
    with open(page, encoding="utf-8") as file:
        chapter = file.read().split("### Signed tokens\n", 1)[1]
    keys, commands = re.findall(r"^```sh\n(.*?)^```$", chapter, re.MULTILINE | re.DOTALL)[:2]
    folder = tempfile.mkdtemp(dir=scratch)
    keys, start = keys.splitlines()
    subprocess.run(["bash", "-ec", keys], cwd=folder, check=True, stderr=subprocess.DEVNULL)
    arguments = start.split(" ")
    expect_equal(arguments[0], "build/examples/gateway", "the page's command")
    gateway = Gateway(*[os.path.join(folder, text) if text.endswith(".pem") else text for text in arguments[1:]],
                      trusts_loopback=False)
    make, streams = commands.split("curl", 1)[0], re.findall(r'"localhost:9001(\S+)"', commands)
    shown = subprocess.run(["bash", "-ec", make + "printf %s \"$token\""], cwd=folder, check=True,
                           stdout=subprocess.PIPE).stdout.decode()
    expect_equal(len(streams), 2, "the page has two streams")
    works, refused = (Sse(gateway.http, path.replace("$token", shown)) for path in streams)
    expect_equal(works.status, 200, "Alice's topic")
    expect_equal(refused.status, 403, "Bob's topic")
    expect("this token may not subscribe to 'orders.bob'" in commands, "the page says what the refusal says")
    body = refused.take(int(refused.headers["content-length"])).decode()
    expect("this token may not subscribe to 'orders.bob'" in body, body)
    expect_equal(ask(gateway.http, "POST", "/api/v1/publish?topic=orders.alice", b"x",
                     [f"Authorization: Bearer {shown}"]).status, 403, "reading is all that she may")
    gateway.stop()


run(every_algorithm_and_every_way_to_show_a_token,
    keys_in_pem_are_tried_one_after_the_other,
    a_forged_token_gives_nothing_and_the_client_reads_why,
    a_changed_letter_is_found_wherever_it_is,
    the_page_gives_one_user_one_topic)
