/* SPDX-License-Identifier: MIT */
/*
 * options: each source, which of them counts, what "auto" comes to, and the messages to whoever made a mistake.
 */
#include "options_fixture.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KIB ((uint64_t) 1 << 10)
#define MIB ((uint64_t) 1 << 20)

static void set_config(struct options_fixture *f, const char *text) {
  write_config(f, text, strlen(text));
}

static unsigned port_of(const struct sockaddr_storage *address) {
  return ntohs(((const struct sockaddr_in *) (const void *) address)->sin_port);
}

static void options_have_defaults(void **state) {
  struct options_fixture *f = *state;
  const struct options *options = &f->options;
  assert_taken(f, "");
  assert_string_equal(options->tcp_text, "127.0.0.1:9000");
  assert_int_equal(port_of(&options->tcp), 9000);
  assert_null(options->tcp_length_text);
  assert_int_equal(port_of(&options->http), 9001);
  assert_int_equal(options->server.max_connections, 100000);
  assert_int_equal(options->server.max_per_address, FLUXBP_LIMIT_AUTO);
  assert_int_equal(options->server.accepts_per_second, 0);
  assert_int_equal(options->server.threads, 1);
  assert_string_equal(options->server.topic, "news");
  assert_int_equal(options->server.max_topics, 65536);
  assert_int_equal(options->server.max_topics_per_session, 256);
  assert_int_equal(options->server.state_topics.count, 0);
  assert_int_equal(options->server.state_keys, 65536);
  assert_int_equal(options->server.history_messages, 20000);
  assert_int_equal(options->server.history_bytes, 32 * MIB);
  assert_int_equal(options->server.history_topic_messages, 10000);
  assert_int_equal(options->server.history_topic_bytes, 16 * MIB);
  assert_int_equal(options->server.history_ms, 0);
  assert_false(options->feeds_stdin);
  assert_int_equal(options->server.max_message, 64 * KIB);
  assert_int_equal(options->server.max_body, MIB);
  assert_int_equal(options->server.patience_ms, 0);
  assert_int_equal(options->server.policy.slots, 256);
  assert_int_equal(options->server.policy.overflow, FLUXBP_OVERFLOW_DROP_NEWEST);
  assert_int_equal(options->server.budget, 256 * MIB);
  assert_true(options->server.kernel_bytes == FLUXBP_KERNEL_BYTES_AUTO);
  assert_int_equal(options->server.ping_ms, 25000);
  assert_int_equal(options->server.handshake_ms, 10000);
  assert_int_equal(options->server.message_ms, 30000);
  assert_int_equal(options->server.keep_alive_ms, 75000);
  assert_null(options->tokens_path);
  assert_int_equal(options->drain_ms, 5000);
  assert_int_equal(options->log_level, LOG_LEVEL_INFO);
  assert_int_equal(options->log_format, LOG_FORMAT_LOGFMT);
}

static void flags_set_every_kind_of_option(void **state) {
  struct options_fixture *f = *state;
  const struct options *options = &f->options;
  assert_taken(f, "--tcp off --tcp-length 127.0.0.1:0 --http=[::1]:8080 --threads 2 --topic a --state b --state c "
                  "--max-message 1k --ring-bytes 2M --budget 1G --overflow drop-oldest --shadow --tokens /a/b "
                  "--allow-host feed.example.org --allow-origin https://example.org:8443 --log-format json");
  assert_null(options->tcp_text);
  assert_int_equal(options->tcp_length.ss_family, AF_INET);
  assert_int_equal(options->http.ss_family, AF_INET6);
  assert_int_equal(options->server.threads, 2);
  assert_string_equal(options->server.topic, "a");
  assert_int_equal(options->server.state_topics.count, 2);
  assert_string_equal(options->server.state_topics.texts[0], "b");
  assert_string_equal(options->server.state_topics.texts[1], "c");
  assert_int_equal(options->server.max_message, KIB);
  assert_int_equal(options->server.policy.max_bytes, 2 * MIB);
  assert_int_equal(options->server.budget, 1024 * MIB);
  assert_int_equal(options->server.policy.overflow, FLUXBP_OVERFLOW_DROP_OLDEST);
  assert_true(options->server.policy.is_shadow);
  assert_string_equal(options->tokens_path, "/a/b");
  assert_string_equal(options->server.allow_hosts.texts[0], "feed.example.org");
  assert_string_equal(options->server.allow_origins.texts[0], "https://example.org:8443");
  assert_int_equal(options->log_format, LOG_FORMAT_JSON);
}

static void of_a_repeated_flag_the_last_counts(void **state) {
  struct options_fixture *f = *state;
  assert_taken(f, "--slots 2 --slots 3");
  assert_int_equal(f->options.server.policy.slots, 3);
}

static void the_environment_sets_options(void **state) {
  struct options_fixture *f = *state;
  setenv("FLUXBP_MAX_CONNECTIONS", "7", 1);
  setenv("FLUXBP_STDIN", "on", 1);
  setenv("FLUXBP_STATE", "prices, scores", 1);
  assert_taken(f, "");
  assert_int_equal(f->options.server.max_connections, 7);
  assert_true(f->options.feeds_stdin);
  assert_int_equal(f->options.server.state_topics.count, 2);
  assert_string_equal(f->options.server.state_topics.texts[0], "prices");
  assert_string_equal(f->options.server.state_topics.texts[1], "scores");
}

static void an_empty_variable_says_nothing(void **state) {
  struct options_fixture *f = *state;
  setenv("FLUXBP_TOPIC", "", 1);
  setenv("FLUXBP_STATE", "", 1);
  assert_taken(f, "");
  assert_string_equal(f->options.server.topic, "news");
  assert_int_equal(f->options.server.state_topics.count, 0);
}

static void a_variable_that_means_nothing_is_logged(void **state) {
  struct options_fixture *f = *state;
  setenv("FLUXBP_MAX_CONECTIONS", "7", 1);
  assert_taken(f, "");
  assert_non_null(strstr(f->said, "event=variable_ignored name=FLUXBP_MAX_CONECTIONS"));
}

static void a_file_sets_options(void **state) {
  struct options_fixture *f = *state;
  set_config(f, "# who may connect\n"
                "\n"
                "max-connections = 7   # a few\n"
                "  topic=a\t\n"
                "state = b\n"
                "shadow = yes\r\n"
                "state = c\n"
                "tokens = /a b/c#d");
  assert_taken(f, "--config %s");
  assert_int_equal(f->options.server.max_connections, 7);
  assert_string_equal(f->options.server.topic, "a");
  assert_true(f->options.server.policy.is_shadow);
  assert_int_equal(f->options.server.state_topics.count, 2);
  assert_string_equal(f->options.server.state_topics.texts[1], "c");
  assert_string_equal(f->options.tokens_path, "/a b/c#d");
  assert_string_equal(f->options.config_path, f->path);
}

static void flags_count_more_than_the_environment_and_that_more_than_the_file(void **state) {
  struct options_fixture *f = *state;
  set_config(f, "slots = 2\nhigh = 61\nlag = 1\n");
  setenv("FLUXBP_SLOTS", "3", 1);
  setenv("FLUXBP_HIGH", "62", 1);
  assert_taken(f, "--slots 4 --config %s");
  assert_int_equal(f->options.server.policy.slots, 4);
  assert_int_equal(f->options.server.policy.high_percent, 62);
  assert_int_equal(f->options.server.policy.lag_ms, 1);
  assert_int_equal(f->options.server.policy.low_percent, 25);
}

static void a_list_replaces_that_of_a_lesser_source(void **state) {
  struct options_fixture *f = *state;
  set_config(f, "state = a\nallow-host = a.example\n");
  setenv("FLUXBP_CONFIG", f->path, 1);
  setenv("FLUXBP_STATE", "b,c", 1);
  assert_taken(f, "--state d");
  assert_int_equal(f->options.server.state_topics.count, 1);
  assert_string_equal(f->options.server.state_topics.texts[0], "d");
  assert_string_equal(f->options.server.allow_hosts.texts[0], "a.example");
}

static void a_flag_puts_off_what_the_file_put_on(void **state) {
  struct options_fixture *f = *state;
  set_config(f, "shadow = on\nmax-body = 3M\n");
  assert_taken(f, "--config %s --shadow=off --max-body auto");
  assert_false(f->options.server.policy.is_shadow);
  assert_int_equal(f->options.server.max_body, MIB);
}

static void patience_and_what_follows_from_it_is_left_to_us(void **state) {
  struct options_fixture *f = *state;
  assert_taken(f, "--stdin --stall 7000");
  assert_int_equal(f->options.server.patience_ms, 7000);
  assert_int_equal(f->options.server.policy.slots, 16384);
  assert_int_equal(f->options.server.policy.overflow, FLUXBP_OVERFLOW_EVICT);
  assert_taken(f, "--stdin --stall 0");
  assert_int_equal(f->options.server.patience_ms, 5000);
  assert_taken(f, "--stdin --patience 0");
  assert_int_equal(f->options.server.policy.slots, 256);
  assert_int_equal(f->options.server.policy.overflow, FLUXBP_OVERFLOW_DROP_NEWEST);
  assert_taken(f, "--stdin --slots 9 --overflow drop-oldest");
  assert_int_equal(f->options.server.policy.slots, 9);
  assert_int_equal(f->options.server.policy.overflow, FLUXBP_OVERFLOW_DROP_OLDEST);
}

static void sizes_that_depend_on_others_are_left_to_us(void **state) {
  struct options_fixture *f = *state;
  assert_taken(f, "--budget 8M");
  assert_int_equal(f->options.server.history_bytes, 2 * MIB);
  assert_int_equal(f->options.server.history_topic_bytes, MIB);
  assert_taken(f, "--history 500 --history-bytes 1M"); /* as they are, for one topic too */
  assert_int_equal(f->options.server.history_topic_messages, 500);
  assert_int_equal(f->options.server.history_topic_bytes, MIB);
  assert_taken(f, "--history 500 --history-topic 100 --history-topic-bytes 1K --history-age 1000");
  assert_int_equal(f->options.server.history_topic_messages, 100);
  assert_int_equal(f->options.server.history_topic_bytes, 1024);
  assert_int_equal(f->options.server.history_ms, 1000);
  assert_taken(f, "--history 0 --history-bytes 0");
  assert_taken(f, "--max-message 2M");
  assert_int_equal(f->options.server.max_body, 2 * MIB);
  assert_int_equal(f->options.server.policy.max_bytes, 8 * MIB);
  assert_taken(f, "--max-message 2M --ring-bytes 4M");
  assert_int_equal(f->options.server.policy.max_bytes, 4 * MIB);
  set_config(f, "ring-bytes = 2M\n");
  assert_taken(f, "--ring-bytes auto --max-message 256K --config %s");
  assert_int_equal(f->options.server.policy.max_bytes, MIB);
  assert_taken(f, "--budget 1M --state a --state b");
  assert_int_equal(f->options.server.policy.max_bytes, MIB);
  assert_int_equal(f->options.server.history_messages, 3855);
  assert_int_equal(f->options.server.state_keys, 1927);
  assert_taken(f, "--budget 1M --max-message 64K --history 3855 --history-bytes 512K --state-keys 16777216");
}

static void a_wrong_value_is_refused_with_what_would_be_right(void **state) {
  struct options_fixture *f = *state;
  assert_refused(f, "--slots 1", "--slots 1: it must be a number from 2 to 32768; or auto");
  assert_refused(f, "--threads -1", "--threads -1: it must be a number from 1 to 64");
  assert_refused(f, "--high 1x", "--high 1x: it must be a number from 1 to 100");
  assert_refused(f, "--budget 1T",
                 "--budget 1T: it must be a number from 1M to 1024G, with a suffix K, M or G if you like");
  assert_refused(f, "--budget 99999999999999999999",
                 "--budget 99999999999999999999: it must be a number from 1M to 1024G, with a suffix K, M or G if you "
                 "like");
  assert_refused(f, "--handshake 99", "--handshake 99: it must be a number from 100 to 600000");
  assert_refused(f, "--overflow wait", "--overflow wait: it must be drop-newest, drop-oldest or evict; or auto");
  assert_refused(f, "--log-level all", "--log-level all: it must be debug, info, warn or error");
  assert_refused(f, "--shadow=maybe", "--shadow=maybe: it must be on or off");
  assert_refused(f, "--topic a/b", "--topic a/b: it must be the name of a topic: 1 to 64 of A-Z a-z 0-9 . _ : -");
  assert_refused(f, "--state a,b", "--state a,b: it must be the name of a topic: 1 to 64 of A-Z a-z 0-9 . _ : -");
  assert_refused(f, "--tcp localhost",
                 "--tcp localhost: expected HOST:PORT, such as 127.0.0.1:9000 or [::1]:9000; or 'off'");
  assert_refused(
      f, "--allow-host a:80",
      "--allow-host a:80: it must be one name of a host without a port, such as feed.example.org, or '*' for "
      "any");
  assert_refused(f, "--allow-origin example.org",
                 "--allow-origin example.org: it must be one SCHEME://HOST or SCHEME://HOST:PORT, such as "
                 "https://example.org, or 'null', or '*' for any");
  assert_refused(f, "--allow-origin https://example.org/",
                 "--allow-origin https://example.org/: it must be one SCHEME://HOST or SCHEME://HOST:PORT, such as "
                 "https://example.org, or 'null', or '*' for any");
}

static void a_wrong_variable_is_refused_by_its_name(void **state) {
  struct options_fixture *f = *state;
  setenv("FLUXBP_MAX_PER_ADDRESS", "few", 1);
  assert_refused(f, "", "FLUXBP_MAX_PER_ADDRESS=few: it must be a number from 0 to 10000000; or auto");
  unsetenv("FLUXBP_MAX_PER_ADDRESS");
  setenv("FLUXBP_STATE", "a,,b", 1);
  assert_refused(f, "", "FLUXBP_STATE=: it must be the name of a topic: 1 to 64 of A-Z a-z 0-9 . _ : -");
}

static void what_is_no_option_is_refused_with_the_nearest_one(void **state) {
  struct options_fixture *f = *state;
  assert_refused(f, "--max-conections 5",
                 "--max-conections is no option; do you mean --max-connections? See 'gateway --help'");
  assert_refused(f, "--max_body=5M", "--max_body=5M is no option; do you mean --max-body? See 'gateway --help'");
  assert_refused(f, "--frobnicate", "--frobnicate is no option; see 'gateway --help'");
  assert_refused(f, "-x", "-x is no option; see 'gateway --help'");
  assert_refused(f, "--slots", "--slots needs a value: --slots N");
  assert_refused(f, "--help=all", "--help=all: --help takes no value");
  assert_refused(f, "--stdin input",
                 "'input' is not an option; input comes from standard input, with --stdin. See 'gateway --help'");
}

static void a_wrong_line_of_a_file_is_refused_by_its_number(void **state) {
  static const struct {
    const char *text, *message;
  } cases[] = {
      {"\nslots = 1\n", "%s:2: slots = 1: it must be a number from 2 to 32768; or auto"},
      {"max_connections = 5\n", "%s:1: 'max_connections' is no option; do you mean 'max-connections'?"},
      {"frobnicate = 5\n", "%s:1: 'frobnicate' is no option; the names are those of 'gateway --help', without the --"},
      {"slots = 5\n#\nslots = 6\n", "%s:3: slots is in line 1 already: keep one of the two"},
      {"slots\n", "%s:1: expected NAME = VALUE, such as max-connections = 5000"},
      {"= 5\n", "%s:1: expected NAME = VALUE, such as max-connections = 5000"},
      {"topic = # none\n", "%s:1: topic has no value; without the line it has its default"},
      {"config = other\n", "%s:1: 'config' can't be in a file: give it as --config"},
      {"print-config = on\n", "%s:1: 'print-config' can't be in a file: give it as --print-config"},
      {"topic = a\nlow = 60\n", "%s:2: low = 60 must be below --high 50 (the default)"},
  };
  struct options_fixture *f = *state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    set_config(f, cases[i].text);
    assert_refused(f, "--config %s", cases[i].message);
  }
  write_config(f, "topic = a\0b\n", 12);
  assert_refused(f, "--config %s", "%s:1: there is a NUL in this line; is it a text file?");
}

static void what_is_overridden_has_to_be_right_too(void **state) {
  struct options_fixture *f = *state;
  set_config(f, "slots = 1\n");
  assert_refused(f, "--slots 5 --config %s", "%s:1: slots = 1: it must be a number from 2 to 32768; or auto");
}

static void a_file_that_cannot_be_read_is_refused(void **state) {
  struct options_fixture *f = *state;
  assert_refused(f, "--config /nonexistent", "--config /nonexistent: cannot read it: No such file or directory");
  setenv("FLUXBP_CONFIG", "/", 1);
  assert_refused(f, "", "FLUXBP_CONFIG=/: cannot read it: Is a directory");
}

static void options_that_do_not_go_together_are_refused(void **state) {
  static const struct {
    const char *arguments, *message;
  } cases[] = {
      {"--low 60", "--low 60 must be below --high 50 (the default)"},
      {"--budget 1M --max-message 128K",
       "--budget 1M is less than 16 times --max-message 128K: make the budget 2M or more"},
      {"--budget 16M --history-bytes 9M", "--history-bytes 9M is more than half of --budget 16M: make it 8M or less"},
      {"--budget 1M --history 4097", "--history 4097 needs more than half of --budget 1M: make it 3855 or less"},
      {"--history 10 --history-topic 11", "--history-topic 11 is more than --history 10: make it 10 or less"},
      {"--history-topic 20001",
       "--history-topic 20001 is more than --history 20000 (the default): make it 20000 or less"},
      {"--history-bytes 1M --history-topic-bytes 2M",
       "--history-topic-bytes 2M is more than --history-bytes 1M: make it 1M or less"},
      {"--budget 1M --state a --state b --state-keys 2049",
       "--state-keys 2049 needs more than half of --budget 1M: make it 1927 or less"},
      {"--max-message 2M --ring-bytes 1M",
       "--ring-bytes 1M must be at least twice --max-message 2M: make it 4M or more"},
      {"--max-message 2M --ring-bytes 4194303",
       "--ring-bytes 4194303 must be at least twice --max-message 2M: make it 4M or more"},
      {"--ring-bytes 1K",
       "--ring-bytes 1K must be at least twice --max-message 64K (the default): make it 128K or more"},
      {"--ring-bytes 257M", "--ring-bytes 257M is more than --budget 256M (the default): make it 256M or less"},
      {"--ping 1", "--ping 1 is too short for an answer: make it 1000 or more, or 0 for no pings"},
      {"--ping 999", "--ping 999 is too short for an answer: make it 1000 or more, or 0 for no pings"},
      {"--max-body 1K", "--max-body 1K must be at least --max-message 64K (the default)"},
      {"--once", "--once is about standard input: add --stdin"},
      {"--wait-clients 1", "--wait-clients 1 is about standard input: add --stdin"},
      {"--stdin --wait-clients 9 --max-connections 8",
       "--wait-clients 9 would wait for ever: it is more than --max-connections 8"},
      {"--state news",
       "--topic news (the default) can't be a state topic, too: name another one with --topic or --state"},
      {"--state a --state b --state a", "--state a is there twice: once is enough"},
      {"--tcp off --http off", "nobody could connect: --tcp, --tcp-length, --http and the like are all off"},
      {"--http 127.0.0.1:9000",
       "--http 127.0.0.1:9000 is the address of --tcp 127.0.0.1:9000 (the default), too: choose another port"},
      {"--tcp [::1]:1 --tcp-length [::1]:1",
       "--tcp-length [::1]:1 is the address of --tcp [::1]:1, too: choose another port"},
  };
  struct options_fixture *f = *state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) assert_refused(f, cases[i].arguments, cases[i].message);
  assert_taken(f, "--tcp 127.0.0.1:0 --tcp-length 127.0.0.1:0 --http 127.0.0.1:0");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(options_have_defaults, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(flags_set_every_kind_of_option, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(of_a_repeated_flag_the_last_counts, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(the_environment_sets_options, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(an_empty_variable_says_nothing, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(a_variable_that_means_nothing_is_logged, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(a_file_sets_options, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(flags_count_more_than_the_environment_and_that_more_than_the_file, options_set_up,
                                      options_tear_down),
      cmocka_unit_test_setup_teardown(a_list_replaces_that_of_a_lesser_source, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(a_flag_puts_off_what_the_file_put_on, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(patience_and_what_follows_from_it_is_left_to_us, options_set_up,
                                      options_tear_down),
      cmocka_unit_test_setup_teardown(sizes_that_depend_on_others_are_left_to_us, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(a_wrong_value_is_refused_with_what_would_be_right, options_set_up,
                                      options_tear_down),
      cmocka_unit_test_setup_teardown(a_wrong_variable_is_refused_by_its_name, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(what_is_no_option_is_refused_with_the_nearest_one, options_set_up,
                                      options_tear_down),
      cmocka_unit_test_setup_teardown(a_wrong_line_of_a_file_is_refused_by_its_number, options_set_up,
                                      options_tear_down),
      cmocka_unit_test_setup_teardown(what_is_overridden_has_to_be_right_too, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_is_refused, options_set_up, options_tear_down),
      cmocka_unit_test_setup_teardown(options_that_do_not_go_together_are_refused, options_set_up, options_tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
