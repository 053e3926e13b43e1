/* SPDX-License-Identifier: MIT */
/*
 * The bus as lib/core/bus.c works it, for spin: every order of the steps of publishers, of a reader that stays, and of
 * one that joins and leaves. tests/model/bus.sh runs it, and the variants below, which break it on purpose and must
 * fail.
 *
 *   safety    each reader sees every position from where it joined, once and in order; a message is there as long as
 *             somebody has to read it, and gone when all have passed it; a slot isn't written under a reader; the topic
 *             of a message isn't released under a reader; nobody is woken after having left. These are assertions.
 *   liveness  nobody waits for ever: a reader that sleeps while there is something to read is woken, and a publisher
 *             that waits for room goes on. Spin finds two things: no state in which nobody can do anything but the end,
 *             where all was read ("invalid end state"), and no cycle ("non-progress cycle"). So every run comes there.
 *
 * With RUN 2 the first publisher claims two positions at once where it can. FIRST_FIRST stores their sequences in the
 * wrong order, and rings for the first.
 *
 * Memory is modelled where it matters: with NO_ORDER the publisher's store of the sequence and its load of the first
 * alarm may happen in either order, as they may on x86 if the store is a plain one.
 */

#ifndef PUBLISHERS
#define PUBLISHERS 2
#endif
#ifndef MESSAGES
#define MESSAGES 2 /* of the first publisher; the others have one each */
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef RUN
#define RUN 1 /* messages that the first publisher claims at once, if there is room for them: 1 or 2 */
#endif
#define TOTAL (MESSAGES + PUBLISHERS - 1)
#define READERS 2 /* 0 stays; 1 joins in mid-stream, and leaves */
#define NO_CURSOR 255

/* head */
byte position;
bool is_shut;
byte claims_in_progress; /* for an assertion alone */

byte sequence[SLOTS];
byte unpassed[SLOTS];
byte content[SLOTS]; /* the position that the slot was written for, + 1 */
bool is_held[TOTAL]; /* the bus's reference of the message at this position */
byte slowest;
bool has_topic[TOTAL]; /* the topic of that message is there: each has another, and nobody holds it */
byte reader_count = 1;

byte cursor[READERS];
bool rings[READERS];
byte ringers[READERS];
bool is_woken[READERS]; /* what the callback does: uv_async_send */
bool is_joined[READERS];

byte done; /* processes that are */

inline ring(reader) {
  if
  :: atomic { !rings[reader] -> rings[reader] = true; ringers[reader]++ }
     atomic { assert(is_joined[reader]); is_woken[reader] = true; ringers[reader]-- }
  :: rings[reader] -> skip
  fi
}

/* One load of a cursor. */
inline look_at(reader, least) {
  d_step { if :: cursor[reader] < least -> least = cursor[reader] :: else fi }
}

/* Topics whose last use is below `before` go. */
inline release_topics(before) {
#ifdef EARLY_RELEASE
  if :: before < TOTAL -> has_topic[before] = false :: else fi;
#endif
  if :: before > 0 -> has_topic[before - 1] = false :: else fi;
  if :: before > 1 -> has_topic[before - 2] = false :: else fi
}

/* Is there room for `wanted` messages at `at`, or for one? `got` says for how many. Computes `slowest` again if that
 * says no; `at` was the head before. */
inline look_for_room(at, least, has_room, wanted, got) {
  d_step { has_room = (at + wanted <= slowest + SLOTS); got = wanted }
  if
  :: has_room -> skip
  :: else ->
#ifdef UNBOUNDED_SLOWEST
     least = NO_CURSOR - SLOTS;
#else
     least = at;
#endif
     look_at(1, least); /* the visitor first: the stayer goes on meanwhile, and the visitor may join */
     look_at(0, least);
     d_step {
       slowest = least;
       assert(slowest <= cursor[0] && slowest <= cursor[1]);
       release_topics(slowest);
       has_room = (at < least + SLOTS);
       if
       :: at + wanted <= least + SLOTS -> got = wanted
       :: else -> got = 1
       fi;
       least = 0
     }
  fi
}

inline claim(at, least, has_room, is_claimed, wanted, got) {
  do
  :: is_claimed -> break
  :: else ->
     atomic { !is_shut -> at = position }
     look_for_room(at, least, has_room, wanted, got);
     if
     :: !has_room -> /* refused: tries again when that makes sense */
        (cursor[0] + SLOTS > at && (cursor[1] == NO_CURSOR || cursor[1] + SLOTS > at))
     :: has_room ->
        d_step {
          has_room = false;
          if
          :: position == at && !is_shut ->
             position = position + got;
             is_claimed = true;
             has_topic[at] = true;
             if :: got == 2 -> has_topic[at + 1] = true :: else fi;
             claims_in_progress = claims_in_progress + got
          :: else -> skip
          fi
        }
     fi
  od
}

/* The slot is this publisher's alone, so this may be one step. */
inline fill_slot(at) {
  d_step {
    assert(sequence[at % SLOTS] <= at); /* nobody has written it for later */
    assert(unpassed[at % SLOTS] == 0);  /* and nobody has to read it still */
    is_held[at] = true;
    content[at % SLOTS] = at + 1;
    unpassed[at % SLOTS] = reader_count
  }
}

inline store_sequence(at) {
  d_step { sequence[at % SLOTS] = at + 1; claims_in_progress-- }
}

proctype publisher(byte count) {
  byte at, next, least, wanted, got;
  bool has_room, is_claimed;

  do
  :: count == 0 -> break
  :: else ->
     d_step {
       if
       :: count >= RUN -> wanted = RUN
       :: else -> wanted = 1
       fi
     }
     claim(at, least, has_room, is_claimed, wanted, got);
     next = at + 1;
#ifdef FIRST_FIRST
     fill_slot(at);
     if
     :: got == 2 -> store_sequence(at); fill_slot(next); ring(0); ring(1); store_sequence(next)
     :: else -> store_sequence(at); ring(0); ring(1)
     fi;
#else
     if /* the last one first: it can't be seen before the first one */
     :: got == 2 -> fill_slot(next); store_sequence(next)
     :: else -> skip
     fi;
     fill_slot(at);
#ifdef NO_ORDER
     if
     :: store_sequence(at); ring(0)
     :: rings[0] -> store_sequence(at) /* the load went ahead of the store, and saw it ringing */
     fi;
#else
     store_sequence(at);
     ring(0);
#endif
     ring(1);
#endif
     d_step { count = count - got; at = 0; next = 0; is_claimed = false; wanted = 0; got = 0 }
  od;
  done++
}

inline pass(reader, at) {
  d_step {
    assert(content[at % SLOTS] == at + 1);
    assert(is_held[at]);
    assert(has_topic[at]);
    assert(unpassed[at % SLOTS] > 0);
    unpassed[at % SLOTS]--;
    is_last = (unpassed[at % SLOTS] == 0);
#ifdef FIRST_RELEASES
    is_last = true
#endif
  }
  d_step {
    cursor[reader] = at + 1;
    if :: is_last -> is_held[at] = false :: else fi;
    is_last = false;
    at++
  }
}

inline drain(reader, at) {
  do
  :: sequence[at % SLOTS] == at + 1 -> pass(reader, at)
  :: sequence[at % SLOTS] != at + 1 -> break
  od
}

proctype stayer() {
  byte at;
  bool is_last;
  do
  :: at == TOTAL -> break
  :: else ->
     atomic { is_woken[0] -> is_woken[0] = false }
#ifdef CLEAR_LATE
     drain(0, at);
     rings[0] = false
#else
     rings[0] = false;
     drain(0, at)
#endif
  od;
  done++
}

/* Nothing is claimed, and what was claimed is published. (No lock here: only one process joins and leaves.) */
inline shut_gate() {
  is_shut = true;
#ifndef NO_GATE_WAIT
  if :: position > 0 -> (sequence[(position - 1) % SLOTS] == position) :: else fi;
  if :: position > 1 -> (sequence[(position - 2) % SLOTS] == position - 1) :: else fi;
  assert(claims_in_progress == 0)
#endif
}

proctype visitor() {
  byte at;
  bool is_last;

  shut_gate();
  at = position;
  is_joined[1] = true;
  rings[1] = false;
  cursor[1] = at;
  reader_count++;
  is_shut = false;

  /* it reads something, or leaves without having been woken */
  if
  :: atomic { is_woken[1] -> is_woken[1] = false }
     rings[1] = false;
     drain(1, at)
  :: true
  fi;

#ifndef NO_MUTE
  rings[1] = true;
  (ringers[1] == 0);
#endif
  drain(1, at);
  shut_gate();
  drain(1, at);
  assert(at == position);
  reader_count--;
  cursor[1] = NO_CURSOR;
  is_joined[1] = false;
  is_shut = false;
  done++
}

init {
  byte i;
  atomic {
    is_joined[0] = true;
    rings[1] = true;
    cursor[1] = NO_CURSOR;
    run stayer();
#ifndef NO_VISITOR
    run visitor();
#else
    done++;
#endif
    do
    :: i == PUBLISHERS -> break
    :: i == 0 -> run publisher(MESSAGES); i++
    :: else -> run publisher(1); i++
    od
  }
  /* the end: everything was read, and nothing is held */
  (done == PUBLISHERS + READERS);
  i = 0;
  do
  :: i == TOTAL -> break
  :: else -> assert(!is_held[i]); i++
  od
}
