// SPDX-License-Identifier: MIT
//
// A program of a user's, in C++17: it keeps the newest price of each of two symbols on a state topic. Exits with 0 if
// the topic has both. It includes public headers only.
#include <fluxbp/fluxbp.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string_view>

namespace {

struct message_deleter {
  void operator()(fluxbp_msg_t *msg) const { fluxbp_msg_unref(msg); }
};
using message = std::unique_ptr<fluxbp_msg_t, message_deleter>;

void check(int result, std::string_view what) {
  if (result >= 0) return;
  std::cerr << "program: cannot " << what << ": " << uv_strerror(result) << '\n';
  std::exit(1);
}

message price(fluxbp_pool_t *pool, uint64_t symbol, std::string_view text) {
  fluxbp_msg_t *msg = nullptr;
  check(fluxbp_msg_create_keyed(pool, symbol, text.data(), text.size(), &msg), "make a message");
  return message(msg);
}

} // namespace

int main() {
  uv_loop_t loop;
  fluxbp_hub_t *hub = nullptr;
  fluxbp_topic_t *prices = nullptr;
  check(uv_loop_init(&loop), "make a loop");
  check(fluxbp_hub_create(&loop, nullptr, &hub), "make a hub");
  check(fluxbp_topic_open_state(hub, "prices", 100, &prices), "open a topic");

  for (std::string_view text : {"10", "11", "12"}) {
    for (uint64_t symbol : {1, 2}) {
      message msg = price(fluxbp_hub_pool(hub), symbol, text);
      check(fluxbp_topic_publish(prices, msg.get()), "publish");
    }
  }
  const auto keys = fluxbp_topic_keys(prices);

  fluxbp_hub_close(hub, [](fluxbp_hub_t *) { std::cout << "bye from libfluxbp " << fluxbp_version() << '\n'; });
  check(uv_run(&loop, UV_RUN_DEFAULT), "run");
  check(uv_loop_close(&loop), "close the loop");
  return keys == 2 ? 0 : 1;
}
