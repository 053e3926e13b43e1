/* SPDX-License-Identifier: MIT */
/*
 * Publishing to all but one on a state topic: each subscriber ends with the newest value, although a connection isn't
 * sent the values of a key that it alone has set.
 */
#include "support/replay_fixture.h"

#include <string.h>

/* Publish a value of a state topic; NULL for `text`: a removal. */
static int set_from(fixture_t *fx, fluxbp_topic_t *topic, const peer_t *sender, uint64_t key, const char *text) {
  fluxbp_msg_t *msg;
  int err = text != NULL ? fluxbp_msg_create_keyed(fx->pool, key, text, strlen(text), &msg)
                         : fluxbp_msg_create_removal(fx->pool, key, NULL, "gone", 4, &msg);
  assert_int_equal(err, 0);
  int result = fluxbp_topic_publish_from(topic, msg, sender != NULL ? fluxbp_conn_origin(sender->conn) : 0);
  fluxbp_msg_unref(msg);
  return result;
}

static void open_state(fixture_t *fx, fluxbp_topic_t **topic, peer_t *peers, int count) {
  fixture_init(fx);
  fx->policy.slots = 16;
  fixture_open(fx);
  assert_int_equal(fluxbp_topic_open_state(fx->hub, "state", 100, topic), 0);
  for (int i = 0; i < count; i++) {
    peer_open(fx, &peers[i], FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
    (void) fluxbp_topic_unsubscribe(fx->topic, peers[i].conn);
    assert_int_equal(fluxbp_topic_subscribe(*topic, peers[i].conn), 1);
  }
}

static void a_key_that_one_connection_sets_is_sent_to_all_others(void **state) {
  fixture_t fx;
  fluxbp_topic_t *topic;
  peer_t peers[2];
  (void) state;
  open_state(&fx, &topic, peers, 2);
  assert_int_equal(set_from(&fx, topic, &peers[0], 1, "a1"), 1);
  assert_int_equal(set_from(&fx, topic, &peers[1], 2, "b1"), 1);
  assert_int_equal(set_from(&fx, topic, &peers[0], 1, "a2"), 1);
  for (int i = 0; i < 2; i++) peer_read_turns(&peers[i]);
  peer_expects(&peers[0], "b1\n");
  peer_expects(&peers[1], "a1\na2\n");

  /* when it comes back, it isn't sent its own values either */
  assert_int_equal(fluxbp_topic_unsubscribe(topic, peers[0].conn), 1);
  assert_int_equal(set_from(&fx, topic, &peers[0], 1, "a3"), 1);
  assert_int_equal(fluxbp_topic_subscribe(topic, peers[0].conn), 1);
  peer_forget(&peers[0]);
  peer_read_turns(&peers[0]);
  peer_expects(&peers[0], "b1\n");
  fixture_close(&fx);
}

static void a_key_that_others_set_too_is_sent_to_its_publisher(void **state) {
  fixture_t fx;
  fluxbp_topic_t *topic;
  peer_t peers[2];
  (void) state;
  open_state(&fx, &topic, peers, 2);
  assert_int_equal(set_from(&fx, topic, &peers[0], 1, "a1"), 1);
  assert_int_equal(set_from(&fx, topic, &peers[1], 1, "b2"), 2); /* it can't know which one the other has sent last */
  assert_int_equal(set_from(&fx, topic, &peers[0], 1, "a3"), 2);
  assert_int_equal(set_from(&fx, topic, &peers[0], 2, "a4"), 1);
  assert_int_equal(set_from(&fx, topic, NULL, 2, "5"), 2);
  assert_int_equal(set_from(&fx, topic, &peers[0], 2, "a6"), 2);
  for (int i = 0; i < 2; i++) peer_read_turns(&peers[i]);
  peer_expects(&peers[0], "b2\na3\n5\na6\n");
  peer_expects(&peers[1], "a1\nb2\na3\na4\n5\na6\n");

  /* a removal is a value like any other */
  assert_int_equal(set_from(&fx, topic, &peers[1], 3, "b7"), 1);
  assert_int_equal(set_from(&fx, topic, NULL, 3, NULL), 2);
  assert_int_equal(set_from(&fx, topic, &peers[1], 3, "b8"), 2);
  fixture_close(&fx);
}

static void a_forgotten_key_does_not_begin_again_as_that_of_an_old_connection(void **state) {
  fixture_t fx;
  fluxbp_topic_t *topic;
  peer_t peers[2], young;
  (void) state;
  open_state(&fx, &topic, peers, 2);
  assert_int_equal(set_from(&fx, topic, &peers[1], 1, "b1"), 1);
  assert_int_equal(set_from(&fx, topic, NULL, 1, "2"), 2);
  assert_int_equal(fluxbp_topic_forget(topic, 1), 1);
  assert_int_equal(set_from(&fx, topic, &peers[0], 1, "a3"), 2); /* "2" may come after it has sent that */
  peer_open(&fx, &young, FLUXBP_PIPE, &fluxbp_codec_newline, FIXTURE_LARGE_BUFFERS);
  assert_int_equal(fluxbp_topic_subscribe(topic, young.conn), 1);
  assert_int_equal(set_from(&fx, topic, &young, 5, "y4"), 2);
  for (int i = 0; i < 2; i++) peer_read_turns(&peers[i]);
  peer_expects(&peers[0], "b1\n2\na3\ny4\n");

  fluxbp_topic_destroy(topic);
  assert_int_equal(fluxbp_topic_open_state(fx.hub, "state", 100, &topic), 0);
  assert_int_equal(fluxbp_topic_subscribe(topic, peers[0].conn), 1);
  assert_int_equal(set_from(&fx, topic, &peers[0], 9, "a5"), 1);
  fixture_close(&fx);
}

/* "b1" may come after the connection has sent "a2". */
static void a_forgotten_key_of_one_connection_does_not_begin_again_as_that_of_another(void **state) {
  fixture_t fx;
  fluxbp_topic_t *topic;
  peer_t peers[2];
  (void) state;
  open_state(&fx, &topic, peers, 2);
  assert_int_equal(set_from(&fx, topic, &peers[1], 1, "b1"), 1);
  assert_int_equal(fluxbp_topic_forget(topic, 1), 1);
  assert_int_equal(set_from(&fx, topic, &peers[0], 1, "a2"), 2);
  for (int i = 0; i < 2; i++) peer_read_turns(&peers[i]);
  peer_expects(&peers[0], "b1\na2\n");
  fixture_close(&fx);
}

/* The connection has a walk before it, which would come to the key. */
static void a_key_that_is_forgotten_is_not_sent_to_the_connection_that_has_set_it(void **state) {
  fixture_t fx;
  fluxbp_topic_t *topic;
  peer_t peers[2];
  (void) state;
  open_state(&fx, &topic, peers, 2);
  assert_int_equal(set_from(&fx, topic, &peers[1], 1, "b1"), 1);
  for (int i = 0; i < 2; i++) {
    (void) peer_refuse(&peers[i]);
    while (peers[i].conn->catching_up == 0) { /* until it has no room for a value */
      assert_true(set_from(&fx, topic, NULL, 2, "another value") >= 1);
      assert_true(set_from(&fx, topic, NULL, 3 + fx.now_ms++ % 90, "another value") >= 1);
    }
  }
  assert_int_equal(set_from(&fx, topic, &peers[0], 1, NULL), 2); /* the key is shared */
  assert_int_equal(set_from(&fx, topic, &peers[0], 100, "own"), 1);
  assert_int_equal(fluxbp_topic_forget(topic, 100), 1);
  for (int i = 0; i < 2; i++) {
    replay_read_all(&peers[i]);
    peers[i].data[peers[i].len - 1] = '\0';
    assert_true((strstr(peers[i].data, "\nown\n") != NULL) == (i == 1));
  }
  fixture_close(&fx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_key_that_one_connection_sets_is_sent_to_all_others),
      cmocka_unit_test(a_key_that_others_set_too_is_sent_to_its_publisher),
      cmocka_unit_test(a_forgotten_key_does_not_begin_again_as_that_of_an_old_connection),
      cmocka_unit_test(a_forgotten_key_of_one_connection_does_not_begin_again_as_that_of_another),
      cmocka_unit_test(a_key_that_is_forgotten_is_not_sent_to_the_connection_that_has_set_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
