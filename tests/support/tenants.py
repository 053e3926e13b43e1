# SPDX-License-Identifier: MIT
"""Two tenants, acme and globex, at two gateways behind one NATS, as a service on the internet has them: each has the topics
that begin with its name, by signed tokens of the service's own login, which end and can be revoked.

`Clients` are the tenants' programs or pages. What a client has said is a list of [what, data].
"""
from gateway import Gateway, expect, expect_equal, until
from nats_server import NatsServer
from tokens import Key, subscribe_to
from wire import ask

TENANTS = ("acme", "globex")
COOKIE = "feed"


class Service:
    """The login with its key, and the gateways. `origins`: of the service's pages."""

    def __init__(self, *origins):
        self.key = Key()
        self.nats = NatsServer()
        self.nats.make_stream("FEED", "fluxbp.>")
        options = ["--nats", self.nats.url, "--jetstream", "FEED", "--jwt-keys", self.key.public, "--jwt-issuer", "login",
                   "--token-cookie", COOKIE]
        for origin in origins:
            options += ["--allow-origin", origin]
        self.gateways = [Gateway(*options, trusts_loopback=False) for _ in range(2)]
        for gateway in self.gateways:
            until("the gateway is ready", lambda: ask(gateway.http, "GET", "/readyz").status == 200)
        self.readers = {tenant: self.token(tenant, subscribe_to("${sub}.>")) for tenant in TENANTS}
        self.publishers = {tenant: self.token(tenant, {"publish": ["${sub}.>"]}) for tenant in TENANTS}

    def token(self, subject, rights, **more):
        return self.key.token(iss="login", sub=subject, fluxbp=rights, **more)

    def _post(self, gateway, path, body, token):
        return ask(self.gateways[gateway].http, "POST", path, body.encode(), [f"Authorization: Bearer {token}"])

    def publish(self, gateway, tenant, topic, text):
        """As the tenant's server does it. The status and the error."""
        answer = self._post(gateway, f"/api/v1/publish?topic={topic}", text, self.publishers[tenant])
        return answer.status, answer.json().get("error")

    def revoke(self, gateway, subject):
        answer = self._post(gateway, "/api/v1/revoke", f'{{"subject":"{subject}"}}', self.token("operator", {"admin": True}))
        expect_equal(answer.status, 200, "revoking")

    def stop(self):
        for gateway in self.gateways:
            gateway.stop()


def _messages(clients, name):
    return [data for what, data in clients.said(name) if what == "message" and data.startswith(TENANTS)]


def _has(clients, name, what, data=None):
    return any(said[0] == what and data in (None, said[1]) for said in clients.said(name))


def _each_tenant_gets_what_is_its_own(service, clients):
    names = {"acme": ("acme events", "acme socket"), "globex": ("globex events", "globex socket")}
    for tenant in TENANTS:
        for gateway, kind in enumerate(("events", "socket") if tenant == "acme" else ("socket", "events")):
            clients.open(kind, f"{tenant} {kind}", gateway, tenant, f"{tenant}.orders", service.readers[tenant])
    for tenant in TENANTS:
        for name in names[tenant]:
            until(f"{name} is there", lambda: _has(clients, name, "open"))
            until(f"{name} is subscribed", lambda: service.publish(0, tenant, f"{tenant}.orders", f"{tenant} begins") and
                  f"{tenant} begins" in _messages(clients, name))
    for tenant in ("acme", "globex", "acme", "globex"):  # the stream keeps the order
        for text in ("one", "two"):
            expect_equal(service.publish(0, tenant, f"{tenant}.orders", f"{tenant} {text}"), (200, None), "publishing")
    for tenant in TENANTS:
        wanted = [f"{tenant} one", f"{tenant} two"] * 2
        for name in names[tenant]:
            own = lambda: [text for text in _messages(clients, name) if text != f"{tenant} begins"]
            until(f"{name} has all of its own", lambda: len(own()) >= len(wanted))
            expect_equal(own(), wanted, f"{name} gets nothing else")


def _no_tenant_has_what_is_the_others(service, clients):
    clients.send("acme socket", "SUB globex.orders")
    refusal = "this token may not subscribe to 'globex.orders'"
    until("SUB is refused", lambda: _has(clients, "acme socket", "message", f"-ERR {refusal}"))
    clients.open("events", "acme spies", 0, "acme", "globex.orders", service.readers["acme"])
    until("the stream is refused for good", lambda: _has(clients, "acme spies", "end"))
    expect(not _has(clients, "acme spies", "open"), "it was open")
    expect_equal(service.publish(1, "acme", "globex.orders", "globex pays"),
                 (403, "this token may not publish on 'globex.orders'"), "publishing for the other")


def _a_token_ends_unless_a_newer_one_is_shown(service, clients):
    short = service.token("globex", subscribe_to("${sub}.>"), seconds=3)
    for name in ("stays", "goes"):
        clients.open("socket", name, 1, "globex", "globex.orders", short)
        until(f"{name} is warned", lambda: any("token_expires_in" in str(data) for _, data in clients.said(name)))
    clients.send("stays", f"AUTH {service.readers['globex']}")
    until("its token is over", lambda: _has(clients, "goes", "close", 4401))
    expect_equal(service.publish(1, "globex", "globex.orders", "globex three"), (200, None), "publishing")
    until("the other client is there", lambda: "globex three" in _messages(clients, "stays"))
    expect(not _has(clients, "stays", "close"), "it was closed")
    expect("globex three" not in _messages(clients, "goes"), "a closed client got something")


def _a_revoked_tenant_goes_at_both_gateways(service, clients):
    service.revoke(1, "acme")
    until("the socket is told so", lambda: _has(clients, "acme socket", "close", 4401))
    until("the stream at the other gateway is over", lambda: _has(clients, "acme events", "end"))
    clients.open("events", "acme comes back", 1, "acme", "acme.orders", service.readers["acme"])
    until("the same token is refused", lambda: _has(clients, "acme comes back", "end"))
    expect(not _has(clients, "acme comes back", "open"), "it was open")
    status, error = service.publish(0, "acme", "acme.orders", "acme pays")
    expect_equal((status, error), (401, "the token was revoked"), "publishing")
    expect_equal(service.publish(0, "globex", "globex.orders", "globex four"), (200, None), "publishing")
    for name in ("globex events", "globex socket", "stays"):
        until(f"{name} is there", lambda: "globex four" in _messages(clients, name))


def run_tenants(service, clients):
    _each_tenant_gets_what_is_its_own(service, clients)
    _no_tenant_has_what_is_the_others(service, clients)
    _a_token_ends_unless_a_newer_one_is_shown(service, clients)
    _a_revoked_tenant_goes_at_both_gateways(service, clients)
    service.stop()
