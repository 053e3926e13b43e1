/* SPDX-License-Identifier: MIT */
/*
 * publisher: the input and the schedule, which ends at the last message, at the end of the duration, or of standard
 * input.
 */
#define _GNU_SOURCE /* ppoll */
#include "publisher.h"

#include "common/message.h"
#include "common/random.h"
#include "common/units.h"
#include "sender.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <string.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <unistd.h>

static const uint64_t look_ns = 2 * NS_PER_MS;   /* for the beginning, and for input that hasn't come yet */
static const uint64_t watch_ns = 50 * NS_PER_MS; /* how often it is looked whether the run is over */
static const uint32_t most_at_once = 256;        /* messages of one sender, before answers are read */

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

/* poll() tells whether there is something to read, so any kind of file will do, and none has to be made non-blocking
 * for all processes that share it. */
static void read_more(struct input *input) {
  struct pollfd standard_input = {.fd = STDIN_FILENO, .events = POLLIN};
  if (input->has_ended || poll(&standard_input, 1, 0) <= 0) return;
  memmove(input->bytes, input->bytes + input->begin, input->end - input->begin);
  input->end -= input->begin;
  input->begin = 0;
  ssize_t length = read(STDIN_FILENO, input->bytes + input->end, sizeof input->bytes - input->end);
  if (length > 0) input->end += (size_t) length;
  input->has_ended = length == 0 || (length < 0 && errno != EINTR && errno != EAGAIN);
}

/* Return the next line, without its end, valid until the next call. Longer ones are cut into pieces. */
static enum input_outcome input_next(struct input *input, const char **line, size_t *length) {
  if (memchr(input->bytes + input->begin, '\n', input->end - input->begin) == NULL) read_more(input);
  const char *newline = memchr(input->bytes + input->begin, '\n', input->end - input->begin);
  *line = input->bytes + input->begin;
  *length = newline != NULL ? (size_t) (newline - *line) : input->end - input->begin;
  if (*length > most_line_bytes) {
    *length = most_line_bytes;
    newline = NULL;
  } else if (newline == NULL && !(input->has_ended && *length > 0)) {
    return input->has_ended ? INPUT_END : INPUT_NOT_YET;
  }
  input->begin += *length + (newline != NULL);
  return INPUT_LINE;
}

/* The schedule */

struct publisher {
  uv_loop_t loop;
  uv_timer_t watch;
  const struct options *options;
  struct results *results;
  struct publisher_results *own;
  uint64_t start_ns, end_ns; /* of the schedule; start: 0 before it begins; no end: NO_END_NS */
  uint64_t most;             /* messages of the whole schedule; UINT64_MAX: no end */
  uint64_t cpu_before_ns;
  uint64_t summed_ns;             /* when the results were last summed up */
  uint64_t all_sent_ns;           /* when there was nothing more to send, or 0 */
  uint64_t answered, answered_ns; /* messages; when the last answer came, or 0 */
  uint64_t random;
  bool input_has_ended, input_was_late;
  struct sender senders[INTEGRITY_PUBLISHERS];
  struct input input;
  char filler[FILLER_BYTES];
  char message[MESSAGE_MAX_BYTES];
};

/* Letters and digits: JSON doesn't have to escape them. */
static void make_filler(struct publisher *publisher) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  for (size_t i = 0; i < FILLER_BYTES; i++) publisher->filler[i] = letters[random_bits(&publisher->random) % 64];
}

/* Count the messages whose planned time lies before `passed_ns`. Message n goes to sender n % publishers. */
static uint64_t count_due(const struct publisher *publisher, uint64_t passed_ns) {
  const struct options *options = publisher->options;
  double due = ceil((double) passed_ns / 1e9 * options->rate);
  return due < (double) publisher->most ? (uint64_t) due : publisher->most;
}

/* Return the number of a sender's next message among those of all senders, from 0 on. */
static uint64_t next_number(const struct publisher *publisher, const struct sender *sender) {
  return sender->sent * publisher->options->publishers + sender->index;
}

/* Return when this sender's next message is to be sent. */
static uint64_t next_planned_ns(const struct publisher *publisher, const struct sender *sender, uint64_t now_ns) {
  const struct options *options = publisher->options;
  if (options->pace != PUBLISH_AT_RATE) return now_ns;
  return publisher->start_ns + (uint64_t) ((double) next_number(publisher, sender) / options->rate * 1e9);
}

static bool has_more(const struct publisher *publisher, const struct sender *sender, uint64_t now_ns) {
  bool has_rate = publisher->options->pace == PUBLISH_AT_RATE; /* then the last one may be a little late */
  if (publisher->input_has_ended || now_ns >= publisher->end_ns + (has_rate ? PUBLISHER_LATE_NS : 0)) return false;
  return next_number(publisher, sender) < publisher->most;
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
  uint32_t bytes = sizes_pick(&publisher->options->sizes, random_bits(&publisher->random));
  send_message(publisher, sender, planned_ns, publisher->filler + sender->sent % 1024, message_text_length(bytes));
  return true;
}

/* Send the messages of one sender that are due. @return when to look again; UINT64_MAX: when the loop has news */
static uint64_t send_due(struct publisher *publisher, struct sender *sender, uint64_t now_ns) {
  uint64_t next_ns = UINT64_MAX, sent_before = sender->sent;
  for (uint32_t i = 0; i < most_at_once && has_more(publisher, sender, now_ns) && sender_can_take(sender); i++) {
    uint64_t planned_ns = next_planned_ns(publisher, sender, now_ns);
    next_ns = planned_ns > now_ns ? planned_ns : now_ns + look_ns;
    if (planned_ns > now_ns || !send_next(publisher, sender, planned_ns)) break;
    next_ns = UINT64_MAX;
  }
  sender_flush(sender);
  return sender->sent > sent_before ? now_ns : next_ns; /* the loop gives the kernel the rest before it waits */
}

static void sum_up(struct publisher *publisher, uint64_t now_ns) {
  const struct options *options = publisher->options;
  struct publisher_results *own = publisher->own;
  uint64_t sent = 0, answered = 0;
  for (uint32_t i = 0; i < options->publishers; i++) {
    sent += publisher->senders[i].sent;
    answered += publisher->senders[i].answered;
  }
  if (answered > publisher->answered) publisher->answered_ns = now_ns;
  publisher->answered = answered;
  publisher->summed_ns = now_ns;
  if (publisher->start_ns == 0) return;
  own->cpu_ns = results_cpu_ns() - publisher->cpu_before_ns;
  bool is_planned = options->pace == PUBLISH_AT_RATE && !options->takes_lines;
  uint64_t passed_ns = (now_ns < publisher->end_ns ? now_ns : publisher->end_ns) - publisher->start_ns;
  own->planned = is_planned ? count_due(publisher, passed_ns) : sent;
}

/* Return whether everything is sent, and no more answers come. */
static bool is_unanswered(const struct publisher *publisher, uint64_t now_ns) {
  bool has_answers = publisher->answered_ns != 0;
  uint64_t since_ns = publisher->answered_ns > publisher->all_sent_ns ? publisher->answered_ns : publisher->all_sent_ns;
  return publisher->all_sent_ns != 0 && now_ns > since_ns + (has_answers ? answer_patience_ns : silent_patience_ns);
}

static void begin_publishing(struct publisher *publisher, uint64_t now_ns) {
  const struct options *options = publisher->options;
  publisher->start_ns = now_ns;
  publisher->end_ns = options->duration_ns > 0 ? now_ns + options->duration_ns : NO_END_NS;
  publisher->most = options->messages > 0 ? options->messages : UINT64_MAX;
  if (options->duration_ns > 0 && options->pace == PUBLISH_AT_RATE)
    publisher->most = count_due(publisher, options->duration_ns);
  publisher->cpu_before_ns = results_cpu_ns();
}

/* Send the messages that are due. @return the time of the next one; 0: everything is sent and answered */
static uint64_t publish_due(struct publisher *publisher, uint64_t now_ns) {
  uint64_t next_ns = UINT64_MAX;
  bool has_any_more = false, are_all_idle = true;
  for (uint32_t i = 0; i < publisher->options->publishers; i++) {
    struct sender *sender = &publisher->senders[i];
    uint64_t wanted_ns = send_due(publisher, sender, now_ns);
    if (wanted_ns < next_ns) next_ns = wanted_ns;
    has_any_more = has_any_more || has_more(publisher, sender, now_ns);
    are_all_idle = are_all_idle && sender_is_idle(sender);
  }
  if (has_any_more) return next_ns;
  if (publisher->all_sent_ns == 0) publisher->all_sent_ns = now_ns;
  return are_all_idle || is_unanswered(publisher, now_ns) ? 0 : UINT64_MAX;
}

static bool is_connected(const struct publisher *publisher) {
  for (uint32_t i = 0; i < publisher->options->publishers; i++)
    if (!publisher->senders[i].is_connected) return false;
  return true;
}

/* Wait for news of the sockets, up to a time in nanoseconds; UINT64_MAX: without end. Run the callbacks. libuv waits
 * for whole milliseconds, which is longer than an unloaded server takes for a message. */
static void run_loop(struct publisher *publisher, uint64_t next_ns) {
  struct pollfd backend = {.fd = uv_backend_fd(&publisher->loop), .events = POLLIN};
  uint64_t now_ns = uv_hrtime(), wait_ns = next_ns > now_ns ? next_ns - now_ns : 0;
  struct timespec timeout = {.tv_nsec = (long) (wait_ns < watch_ns ? wait_ns : watch_ns)};
  if (next_ns != UINT64_MAX && wait_ns > 0 && uv_backend_timeout(&publisher->loop) != 0)
    ppoll(&backend, 1, &timeout, NULL);
  uv_run(&publisher->loop, next_ns == UINT64_MAX ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

/* Only ends the wait of the loop. */
static void on_watch(uv_timer_t *timer) {
  (void) timer;
}

/* Publish until everything is sent, or the parent has ended the run, or has ended itself. */
static void publish(struct publisher *publisher) {
  pid_t parent = getppid();
  uint64_t now_ns, next_ns;
  do {
    enum phase phase = results_phase(publisher->results);
    now_ns = uv_hrtime();
    next_ns = UINT64_MAX;
    if (phase == PHASE_OVER || publisher->own->problem[0] != '\0') break;
    if (phase == PHASE_RUNNING && publisher->start_ns == 0 && is_connected(publisher))
      begin_publishing(publisher, now_ns);
    if (publisher->start_ns != 0) next_ns = publish_due(publisher, now_ns);
    run_loop(publisher, next_ns);
    if (now_ns - publisher->summed_ns < watch_ns) continue;
    sum_up(publisher, now_ns);
    if (getppid() != parent) break;
  } while (next_ns != 0);
  sum_up(publisher, uv_hrtime());
}

int publisher_run(const struct options *options, struct results *results) {
  static struct publisher memory; /* too large for a stack */
  struct publisher *publisher = &memory;
  if (uv_loop_init(&publisher->loop) != 0) return EXIT_CODE_RUNTIME;
  publisher->options = options;
  publisher->results = results;
  publisher->own = &results->publisher;
  publisher->random = results->run * UINT64_C(0x9e3779b97f4a7c15) + 1;
  make_filler(publisher);
  for (uint32_t i = 0; i < options->publishers; i++)
    sender_open(&publisher->senders[i], &publisher->loop, options, publisher->own, i);
#ifdef __linux__
  prctl(PR_SET_TIMERSLACK, 1UL); /* nanosecond; the kernel's 50 us would make each message late */
#endif
  uv_timer_init(&publisher->loop, &publisher->watch);
  uv_timer_start(&publisher->watch, on_watch, watch_ns / NS_PER_MS, watch_ns / NS_PER_MS);
  publish(publisher);
  uv_close((uv_handle_t *) &publisher->watch, NULL);
  for (uint32_t i = 0; i < options->publishers; i++) sender_close(&publisher->senders[i]);
  uv_run(&publisher->loop, UV_RUN_DEFAULT);
  return publisher->own->problem[0] == '\0' ? EXIT_CODE_OK : EXIT_CODE_RUNTIME;
}
