/* SPDX-License-Identifier: MIT */
/*
 * uwebsockets_peer: a server on uWebSockets for compression.sh, which compiles it where it is given that library; it is
 * no part of the build. What comes at /publish goes to those who listen: at /plain as it is, at /shared compressed by the
 * library's publish, at /prepared compressed before it is published, once for all. Says its port.
 */
#include "App.h"

#include <cstdio>
#include <string_view>

struct Nothing {};

static uWS::App *app;

template <typename Socket>
static void listen_to(Socket *socket) {
  socket->subscribe("news");
}

static uWS::App::WebSocketBehavior<Nothing> listener(uWS::CompressOptions compression) {
  uWS::App::WebSocketBehavior<Nothing> behavior;
  behavior.compression = compression;
  behavior.idleTimeout = 0;
  behavior.sendPingsAutomatically = false;
  return behavior;
}

/* How messages are published: there is one kind of listeners in a run. */
static enum { PLAIN, SHARED, PREPARED } way;

static void publish(std::string_view message) {
  if (way == PREPARED) {
    auto prepared = uWS::Loop::get()->prepareMessage(message, uWS::OpCode::TEXT, true);
    app->publishPrepared("news", prepared);
  } else {
    app->publish("news", message, uWS::OpCode::TEXT, way == SHARED);
  }
}

int main() {
  uWS::App own;
  app = &own;
  auto plain = listener(uWS::DISABLED), publisher = listener(uWS::DISABLED);
  auto shared = listener(uWS::SHARED_COMPRESSOR), prepared = listener(uWS::SHARED_COMPRESSOR);
  plain.open = [](auto *socket) { way = PLAIN, listen_to(socket); };
  shared.open = [](auto *socket) { way = SHARED, listen_to(socket); };
  prepared.open = [](auto *socket) { way = PREPARED, listen_to(socket); };
  publisher.message = [](auto *, std::string_view message, uWS::OpCode) { publish(message); };
  own.ws<Nothing>("/plain", std::move(plain))
      .ws<Nothing>("/shared", std::move(shared))
      .ws<Nothing>("/prepared", std::move(prepared))
      .ws<Nothing>("/publish", std::move(publisher))
      .listen("127.0.0.1", 0,
              [](us_listen_socket_t *socket) {
                if (socket == nullptr) return;
                std::printf("%d\n", us_socket_local_port(0, (us_socket_t *) socket));
                std::fflush(stdout);
              })
      .run();
  return 1;
}
