/* SPDX-License-Identifier: MIT */
/*
 * publisher: the input and the schedule, which ends at the last message, at the end of the duration, or of standard
 * input.
 */
#include "publisher.h"

#include "message.h"
#include "sender.h"
#include "ticker.h"
#include "values.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t look_ns = 2 * NS_PER_MS; /* for the beginning, and for input that hasn't come yet */
static const uint64_t watch_ms = 50;           /* how often it is looked whether the run is over */
static const uint32_t most_at_once = 256;      /* messages of one sender, before answers are read */

/* Time for answers before the connections are closed, which throws away the messages that the server hasn't read. */
static const uint64_t answer_patience_ns = 5 * NS_PER_S;
static const uint64_t silent_patience_ns = NS_PER_S; /* of a server that never answers */

/* Less than half of the input's buffer. */
static const size_t most_line_bytes = MESSAGE_MAX_BYTES / 4;

#define NO_END_NS (UINT64_MAX / 2)
#define FILLER_BYTES (MESSAGE_MAX_BYTES + 1024)

/* Lines of standard input, without ever waiting for one */

enum input_outcome { INPUT_LINE, INPUT_NOT_YET, INPUT_END };

struct input {
  size_t begin, end; /* of the bytes that were read and not yet taken */
  bool has_ended;
  char bytes[MESSAGE_MAX_BYTES];
};

static bool take_line(struct input *input, const char **line, size_t *length) {
  char *begin = input->bytes + input->begin;
  size_t there = input->end - input->begin;
  char *newline = memchr(begin, '\n', there);
  size_t taken = newline != NULL ? (size_t) (newline - begin) : there;
  bool is_whole = newline != NULL || input->has_ended;
  if (taken > most_line_bytes) {
    taken = most_line_bytes;
    newline = NULL;
  } else if (!is_whole) {
    return false;
  }
  if (taken == 0 && newline == NULL) return false; /* the end */
  *line = begin;
  *length = taken;
  input->begin += taken + (newline != NULL);
  return true;
}

/* poll() tells whether there is something to read, so any kind of file will do, and none has to be made non-blocking
 * for all processes that share it. */
static void read_more(struct input *input) {
  struct pollfd standard_input = {.fd = STDIN_FILENO, .events = POLLIN};
  if (poll(&standard_input, 1, 0) <= 0) return;
  memmove(input->bytes, input->bytes + input->begin, input->end - input->begin);
  input->end -= input->begin;
  input->begin = 0;
  ssize_t length = read(STDIN_FILENO, input->bytes + input->end, sizeof input->bytes - input->end);
  if (length > 0)
    input->end += (size_t) length;
  else if (length == 0 || (errno != EINTR && errno != EAGAIN))
    input->has_ended = true;
}

/* Return the next line, without its end, valid until the next call. Longer ones are cut into pieces. */
static enum input_outcome input_next(struct input *input, const char **line, size_t *length) {
  if (take_line(input, line, length)) return INPUT_LINE;
  if (!input->has_ended) read_more(input);
  if (take_line(input, line, length)) return INPUT_LINE;
  return input->has_ended ? INPUT_END : INPUT_NOT_YET;
}

/* The schedule */

struct publisher {
  uv_loop_t loop;
  const struct options *options;
  struct results *results;
  struct publisher_results *own;
  pid_t parent;
  uv_timer_t watch;
  struct ticker ticker;
  struct sender senders[INTEGRITY_PUBLISHERS];
  uint64_t start_ns, end_ns; /* of the schedule; no end: NO_END_NS */
  uint64_t cpu_before_ns;
  uint64_t all_sent_ns; /* when there was nothing more to send, or 0 */
  uint64_t answered_ns; /* when the last answer came, or 0 */
  uint64_t random;
  bool has_begun, is_closed;
  bool input_has_ended, input_was_late;
  struct input input;
  char filler[FILLER_BYTES];
  char message[MESSAGE_MAX_BYTES];
};

/* Letters and digits: what JSON doesn't have to escape. */
static void make_filler(struct publisher *publisher) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  for (size_t i = 0; i < FILLER_BYTES; i++) publisher->filler[i] = letters[values_random(&publisher->random) % 64];
}

/* Return how many messages are planned for one sender in all; UINT64_MAX if there is no end. */
static uint64_t count_planned(const struct publisher *publisher, const struct sender *sender) {
  const struct options *options = publisher->options;
  uint64_t count = UINT64_MAX;
  if (options->messages > 0)
    count = options->messages / options->publishers + (sender->index < options->messages % options->publishers);
  if (options->pace == PUBLISH_AT_RATE && publisher->end_ns != NO_END_NS) {
    double in_time = ceil((double) options->duration_ns / 1e9 * options->rate / options->publishers -
                          (double) sender->index / options->publishers);
    if (in_time < 0) in_time = 0;
    if (in_time < (double) count) count = (uint64_t) in_time;
  }
  return count;
}

/* Return when this sender's next message is to be sent. */
static uint64_t next_planned_ns(const struct publisher *publisher, const struct sender *sender, uint64_t now_ns) {
  const struct options *options = publisher->options;
  if (options->pace != PUBLISH_AT_RATE) return now_ns;
  double place = (double) sender->sent * options->publishers + sender->index;
  return publisher->start_ns + (uint64_t) (place / options->rate * 1e9);
}

static bool has_more(const struct publisher *publisher, const struct sender *sender, uint64_t now_ns) {
  bool has_rate = publisher->options->pace == PUBLISH_AT_RATE; /* then the last one may be a little late */
  if (publisher->input_has_ended || now_ns >= publisher->end_ns + (has_rate ? PUBLISHER_LATE_NS : 0)) return false;
  return sender->sent < count_planned(publisher, sender);
}

static void send_message(struct publisher *publisher, struct sender *sender, uint64_t planned_ns, const char *text,
                         size_t length) {
  struct publisher_results *own = publisher->own;
  struct message message = {.run = publisher->results->run,
                            .publisher = sender->index,
                            .sequence = sender->sent + 1,
                            .planned_ns = planned_ns};
  size_t total = message_write(&message, text, length, publisher->message);
  uint64_t now_ns = uv_hrtime();
  uint64_t late_ns = now_ns > planned_ns ? now_ns - planned_ns : 0;
  sender_put(sender, publisher->message, total);
  own->sent[sender->index] = sender->sent;
  own->bytes += total;
  own->late += late_ns > PUBLISHER_LATE_NS;
  histogram_record(&own->lateness, late_ns);
  own->last_ns = now_ns;
  if (own->first_ns == 0) own->first_ns = now_ns;
}

static bool send_line(struct publisher *publisher, struct sender *sender, uint64_t planned_ns) {
  const char *line;
  size_t length;
  enum input_outcome outcome = input_next(&publisher->input, &line, &length);
  publisher->input_has_ended = outcome == INPUT_END;
  if (outcome == INPUT_LINE) /* a line that comes late has its planned time now */
    send_message(publisher, sender, publisher->input_was_late ? uv_hrtime() : planned_ns, line, length);
  publisher->input_was_late = outcome == INPUT_NOT_YET;
  return outcome == INPUT_LINE;
}

static bool send_next(struct publisher *publisher, struct sender *sender, uint64_t planned_ns) {
  if (publisher->options->takes_lines) return send_line(publisher, sender, planned_ns);
  uint32_t bytes = sizes_pick(&publisher->options->sizes, values_random(&publisher->random));
  send_message(publisher, sender, planned_ns, publisher->filler + sender->sent % 1024, message_text_length(bytes));
  return true;
}

/* Send the messages of one sender that are due. @return the time of the next one; UINT64_MAX: on_change tells */
static uint64_t send_due(struct publisher *publisher, struct sender *sender, uint64_t now_ns) {
  uint64_t next_ns = UINT64_MAX;
  for (uint32_t i = 0; has_more(publisher, sender, now_ns) && sender_can_take(sender); i++) {
    uint64_t planned_ns = next_planned_ns(publisher, sender, now_ns);
    if (planned_ns > now_ns || i == most_at_once) {
      next_ns = planned_ns;
      break;
    }
    if (send_next(publisher, sender, planned_ns)) continue;
    next_ns = now_ns + look_ns;
    break;
  }
  sender_flush(sender);
  /* Messages that the kernel has taken make room at once; for the others, on_change tells. */
  if (next_ns == UINT64_MAX && has_more(publisher, sender, now_ns) && sender_can_take(sender)) next_ns = now_ns;
  return next_ns;
}

static bool is_all_sent(const struct publisher *publisher, uint64_t now_ns) {
  for (uint32_t i = 0; i < publisher->options->publishers; i++)
    if (has_more(publisher, &publisher->senders[i], now_ns)) return false;
  return true;
}

static bool is_true_for_all(const struct publisher *publisher, bool (*is_true)(const struct sender *)) {
  for (uint32_t i = 0; i < publisher->options->publishers; i++)
    if (!is_true(&publisher->senders[i])) return false;
  return true;
}

static void sum_up(struct publisher *publisher) {
  struct publisher_results *own = publisher->own;
  uint64_t accepted = 0, refused = 0, known = own->accepted;
  for (uint32_t i = 0; i < publisher->options->publishers; i++) {
    const struct sender *sender = &publisher->senders[i];
    known += own->refused[i];
    accepted += sender->accepted;
    refused += sender->refused;
    own->refused[i] = sender->refused;
  }
  own->accepted = accepted;
  if (accepted + refused > known) publisher->answered_ns = uv_hrtime();
  if (publisher->has_begun) own->cpu_ns = results_cpu_ns() - publisher->cpu_before_ns;
}

/* Return whether everything is sent, and no more answers come. */
static bool is_unanswered(const struct publisher *publisher, uint64_t now_ns) {
  uint64_t since_ns = publisher->all_sent_ns;
  if (since_ns == 0) return false;
  if (publisher->answered_ns == 0) return now_ns - since_ns > silent_patience_ns;
  if (publisher->answered_ns > since_ns) since_ns = publisher->answered_ns;
  return now_ns > since_ns + answer_patience_ns;
}

/* Count the messages that should have been sent by now; without a rate, all that were. */
static void count_due(struct publisher *publisher, uint64_t now_ns) {
  const struct options *options = publisher->options;
  uint64_t planned = 0;
  double passed_ns = (double) ((now_ns < publisher->end_ns ? now_ns : publisher->end_ns) - publisher->start_ns);
  for (uint32_t i = 0; i < options->publishers; i++) {
    const struct sender *sender = &publisher->senders[i];
    double due = floor(passed_ns / 1e9 * options->rate / options->publishers + 1 - (double) i / options->publishers);
    uint64_t most = count_planned(publisher, sender), count = due > 0 ? (uint64_t) due : 0;
    if (count > most) count = most;
    bool is_counted = options->pace == PUBLISH_AT_RATE && !options->takes_lines;
    planned += is_counted && count > sender->sent ? count : sender->sent;
  }
  publisher->own->planned = planned;
}

static void end_publishing(struct publisher *publisher) {
  if (publisher->is_closed) return;
  publisher->is_closed = true;
  if (publisher->has_begun) count_due(publisher, uv_hrtime());
  sum_up(publisher);
  uv_close((uv_handle_t *) &publisher->watch, NULL);
  ticker_close(&publisher->ticker);
  for (uint32_t i = 0; i < publisher->options->publishers; i++) sender_close(&publisher->senders[i]);
}

static void publish_due(struct publisher *publisher) {
  uint64_t now_ns = uv_hrtime(), next_ns = UINT64_MAX;
  if (publisher->is_closed || !publisher->has_begun) return;
  for (uint32_t i = 0; i < publisher->options->publishers; i++) {
    uint64_t wanted_ns = send_due(publisher, &publisher->senders[i], now_ns);
    if (wanted_ns < next_ns) next_ns = wanted_ns;
  }
  if (is_all_sent(publisher, now_ns)) {
    if (publisher->all_sent_ns == 0) publisher->all_sent_ns = now_ns;
    if (is_true_for_all(publisher, sender_is_idle)) end_publishing(publisher);
  } else if (next_ns != UINT64_MAX) {
    ticker_set(&publisher->ticker, next_ns);
  }
}

static void on_tick(struct ticker *ticker) {
  publish_due(ticker->data);
}

static void on_change(struct sender *sender) {
  struct publisher *publisher = sender->data;
  struct publisher_results *own = publisher->own;
  if (sender->problem[0] != '\0' && own->problem[0] == '\0') {
    own->error = sender->error;
    memcpy(own->problem, sender->problem, sizeof sender->problem);
    end_publishing(publisher);
  }
  publish_due(publisher);
}

static void begin_publishing(struct publisher *publisher) {
  uint64_t duration_ns = publisher->options->duration_ns;
  publisher->has_begun = true;
  publisher->start_ns = uv_hrtime();
  publisher->end_ns = duration_ns > 0 ? publisher->start_ns + duration_ns : NO_END_NS;
  publisher->cpu_before_ns = results_cpu_ns();
  publish_due(publisher);
}

static bool is_connected(const struct sender *sender) {
  return sender->is_connected;
}

/* See the phase that the parent has set, and the parent's end. */
static void on_watch(uv_timer_t *timer) {
  struct publisher *publisher = timer->data;
  uint64_t now_ns = uv_hrtime();
  enum phase phase = results_phase(publisher->results);
  if (phase == PHASE_OVER || getppid() != publisher->parent || is_unanswered(publisher, now_ns))
    end_publishing(publisher);
  else if (publisher->has_begun)
    publish_due(publisher); /* the duration may have ended while nothing could be sent */
  else if (phase == PHASE_RUNNING && is_true_for_all(publisher, is_connected))
    begin_publishing(publisher);
  if (publisher->has_begun && !publisher->is_closed) count_due(publisher, now_ns);
  sum_up(publisher);
}

static int open_all(struct publisher *publisher) {
  int error = uv_loop_init(&publisher->loop);
  if (error != 0) return error;
  uv_timer_init(&publisher->loop, &publisher->watch);
  publisher->watch.data = publisher->ticker.data = publisher;
  uv_timer_start(&publisher->watch, on_watch, 0, watch_ms);
  error = ticker_init(&publisher->ticker, &publisher->loop, on_tick);
  for (uint32_t i = 0; error == 0 && i < publisher->options->publishers; i++) {
    publisher->senders[i].data = publisher;
    sender_open(&publisher->senders[i], &publisher->loop, publisher->options, i, on_change);
  }
  return error;
}

int publisher_run(const struct options *options, struct results *results) {
  struct publisher *publisher = calloc(1, sizeof *publisher);
  if (publisher == NULL) return EXIT_CODE_RUNTIME;
  publisher->options = options;
  publisher->results = results;
  publisher->own = &results->publisher;
  publisher->parent = getppid();
  publisher->random = results->run * UINT64_C(0x9e3779b97f4a7c15) + 1;
  make_filler(publisher);
  int error = open_all(publisher);
  if (error == 0) uv_run(&publisher->loop, UV_RUN_DEFAULT);
  for (uint32_t i = 0; i < options->publishers; i++) sender_free(&publisher->senders[i]);
  if (error == 0) uv_loop_close(&publisher->loop);
  bool is_ok = error == 0 && publisher->own->problem[0] == '\0';
  free(publisher);
  return is_ok ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}
