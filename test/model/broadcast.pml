/**
 * BroadcastRing: one writer that never waits, readers that it evicts, and deaths on both sides.
 *
 * WHAT IT IS   src/toolkit/ring/broadcast-kernel.ts, with the order in which broadcast-writer.ts
 *              (claim, poll, evictSlowest) and broadcast-reader.ts (join, tryRead, finish, putBack,
 *              leave, lostSeq) call its functions. A slot has two words, so that a copy can be
 *              torn.
 * STEPS        One d_step is one access to shared memory with the local work after it; its comment
 *              names the function of the kernel. The writer's notes (releasedSeq, asides) are
 *              written one a step, since a writer may die between them; what it only reads of its
 *              own shares a step. A reader's own words change with its next step.
 * GHOSTS       released, published, leaked, touches, dueSeq, isEvicted, lastSeq, lostTwice: for
 *              the assertions and probes only.
 * SHOWN        what a slot refers to is released once, and never while a reader is between READ_OK
 *              and finish (that has not died); each release finds the reference that belongs to the
 *              sequence; a torn or younger copy is never answered READ_OK; a reader with a place
 *              gets every slot from where it was admitted, in order; READ_NOTHING is true; who was
 *              evicted is told before it reads again, can ask for a place then, and finds in
 *              lostSeq the first slot that it had not finished; what it has missed lies between
 *              that one and the first slot of its new place, also when it has lost two places in a
 *              row; where it was admitted stands still while it has the place; when all readers
 *              have left, one poll releases all.
 *              No step of the writer has a condition, and an eviction is tried again only when the
 *              reader has moved: the writer never waits. A dead writer costs at most the one release
 *              that was running.
 * NOT SHOWN    Anything about an order weaker than sequential consistency. Counts beyond those of
 *              the runs: capacity 2, 1 or 2 readers, up to 5 slots, few attempts, at most one death
 *              on each side. readBatch. A reader that sleeps through a turn of the sequences: they
 *              have 29 and 32 bits there, 4 here, 3 in the run through more than half a turn; they
 *              start just below their wrap.
 * RUNS         test/model/models.ts; -DBUG_x plants one bug, and each must be found.
 */

/* The runner sees which branches a search has taken: an assertion in a branch that no run takes
 * would hold for nothing. */
c_code {
  static unsigned probesSeen;
  static void reach(int probe, const char *what) {
    if (probesSeen & 1u << probe) return;
    probesSeen |= 1u << probe;
    printf("reached: %s\n", what);
  }
}

/* Bounds: each run sets its own. */
#ifndef READERS
#define READERS 1
#endif
#ifndef PUBLISHES
#define PUBLISHES 4
#endif
#ifndef POLLS                /* the writer's own, beside those in claim */
#define POLLS 1
#endif
#ifndef SLOWEST              /* calls of evictSlowest */
#define SLOWEST 0
#endif
#ifndef READS                /* attempts of each reader */
#define READS 3
#endif
#ifndef JOINS                /* of each reader */
#define JOINS 1
#endif
#ifndef PUT_BACKS
#define PUT_BACKS 0
#endif
#ifndef JOINED               /* 1: readers have their places at the start */
#define JOINED 1
#endif
#ifndef READER_DEATHS
#define READER_DEATHS 0
#endif
#ifndef WRITER_DEATHS
#define WRITER_DEATHS 0
#endif

#define CAPACITY 2
#ifndef TURN
#define TURN 16
#endif
#ifndef START
#define START 14
#endif
#define SLOT(s) ((s) % CAPACITY)
#define WRAP(s) (((s) + TURN) % TURN)
#define DISTANCE(a, b) (((a) + TURN - (b)) % TURN)
/* a - b > 0, a - b <= 0 by wrapping arithmetic */
#define IS_AFTER(a, b) (DISTANCE(a, b) > 0 && DISTANCE(a, b) < TURN / 2)
#define BIT(x) (1 << (x))

#define ABSENT 0
#define IDLE 1
#define READING 2
#define LAPPED 3
#define EVICTED 4
#define JOINING 5
#define PACK(s, state) (((s) << 3) | (state))
#define STATE(word) ((word) & 7)
#define SEQ(word) ((word) >> 3)

/* What a slot of sequence s holds, in both words: never 0. */
#define STAMP(s) ((s) + 1)

/* Shared memory. */
byte writeSeq, claimSeq, releasedSeq;
byte slot[4];                /* CAPACITY times two words */
byte place[READERS];         /* the state word: 29-bit sequence above the state */
byte nextSeq[READERS], admittedSeq[READERS];
bit isAsking[READERS];
bit asideKept[READERS];
byte asideSeq[READERS], asideValue[READERS];
byte asideCount;

/* Ghosts. */
short released;              /* sets of sequences */
short published;
byte leaked;                 /* releases that died with the writer */
byte touches[READERS];       /* STAMP of what the reader may touch; 0: nothing */
byte dueSeq[READERS];        /* the slot that a reader with a place must get next */
bit isEvicted[READERS];      /* and not yet told */
byte lastSeq[READERS];       /* the first slot that the reader has not finished, by what it got */
byte gone;                   /* sets of readers */
byte killed;

#define R_FREE 0
#define R_JOIN_STORE 1
#define R_BEGIN_WRITE 2
#define R_BEGIN_EXCHANGE 3
#define R_COPY 4
#define R_CONFIRM 5
#define R_CONFIRM_STORE 6
#define R_TOUCH 7
#define R_FINISH 8
#define R_FINISH_STORE 9
#define R_GONE 10

#if READER_DEATHS
#define ALIVE(r) (!(killed & BIT(r)))
#else
#define ALIVE(r) true
#endif

/* broadcastNext: the reader's own words, and admittedSeq, handed over by the writer's exchange. */
#ifdef BUG_NEXT_AT_WRITE_SEQ
#define NEXT (isAsking[me] -> writeSeq : nextSeq[me])
#else
#define NEXT (isAsking[me] -> admittedSeq[me] : nextSeq[me])
#endif

/* broadcastEnter: the reader's own words. */
inline enter() {
  if
  :: isAsking[me] ->
      /* lostSeq = nextSeq, missedCount = admittedSeq - nextSeq */
      assert(nextSeq[me] == lastSeq[me]);
      if :: lostTwice -> c_code { reach(19, "two places lost in a row"); } :: else fi;
      lostTwice = 0;
      nextSeq[me] = admittedSeq[me];
      isAsking[me] = 0
  :: else
  fi
}

/* READ_EVICTED: without a place lostSeq answers nextSeq. */
inline tellEvicted() {
  assert(nextSeq[me] == lastSeq[me]);
  isEvicted[me] = 0
}

inline callEnds() {
  at = R_FREE;
  word = 0;
  next = 0;
  first = 0;
  second = 0;
  count = 0
}

proctype Reader(byte me) {
  byte at, reads = READS, joins = JOINS, putBacks = PUT_BACKS;
  byte word, next, first, second, count;
  bit lostTwice;
  do
  /* --- join -------------------------------------------------------------------------------- */
  :: d_step { ALIVE(me) && at == R_FREE && joins > 0 ->
      /* broadcastJoin: load the state */
      joins--;
      word = place[me];
      /* it has lost a place before it got a slot there */
      if :: STATE(word) == EVICTED && isAsking[me] -> lostTwice = 1 :: else fi;
      if
      :: STATE(word) == ABSENT || STATE(word) == EVICTED -> at = R_JOIN_STORE
      :: else
      fi;
      word = 0
    }
  :: d_step { ALIVE(me) && at == R_JOIN_STORE ->
      /* broadcastJoin: store JOINING */
      isAsking[me] = 1;
      isEvicted[me] = 0;
      place[me] = PACK(0, JOINING);
      at = R_FREE
    }
  /* --- tryRead ----------------------------------------------------------------------------- */
  :: d_step { ALIVE(me) && at == R_FREE && reads > 0 ->
      /* broadcastBegin: load the state */
      reads--;
      word = place[me];
      if
      :: STATE(word) == JOINING ->
          /* READ_NOTHING */
          c_code { reach(0, "not yet admitted"); };
          word = 0
#ifdef BUG_EVICTED_ANSWERS_NOTHING
      :: STATE(word) != JOINING && STATE(word) != IDLE ->
          assert(!isEvicted[me]);
          word = 0
#else
      :: STATE(word) != JOINING && STATE(word) != IDLE ->
          /* READ_EVICTED: a join will be heard */
          assert(STATE(word) == EVICTED || STATE(word) == ABSENT);
          if :: isEvicted[me] -> c_code { reach(1, "eviction told"); } :: else fi;
          tellEvicted();
          word = 0
#endif
      :: else ->
          /* nobody whom the writer has evicted goes on without knowing */
          assert(!isEvicted[me]);
          if :: isAsking[me] -> c_code { reach(2, "admitted"); } :: else fi;
#ifdef BUG_ENTER_AT_BEGIN
          enter();
#endif
          at = R_BEGIN_WRITE
      fi
    }
  :: d_step { ALIVE(me) && at == R_BEGIN_WRITE ->
      /* broadcastBegin: broadcastNext, load WRITE */
      next = NEXT;
      if
      :: writeSeq == next ->
          /* READ_NOTHING */
          assert(isEvicted[me] || dueSeq[me] == writeSeq);
          callEnds()
      :: else -> at = R_BEGIN_EXCHANGE
      fi
    }
  :: d_step { ALIVE(me) && at == R_BEGIN_EXCHANGE ->
      /* broadcastBegin: compareExchange IDLE -> READING */
      if
#ifdef BUG_BEGIN_WITHOUT_EXCHANGE
      :: true ->
#else
      :: place[me] == word ->
#endif
          place[me] = PACK(next, READING);
          /* broadcastTryRead: broadcastNext once more */
          assert(NEXT == next);
          word = 0;
          at = R_COPY
      :: else ->
          /* READ_EVICTED */
          c_code { reach(3, "evicted between load and exchange"); };
          assert(isEvicted[me]);
          tellEvicted();
          callEnds()
      fi
    }
  :: d_step { ALIVE(me) && at == R_COPY ->
      /* broadcastCopySlot: load a word */
      if
      :: first == 0 -> first = slot[2 * SLOT(next)]
      :: else -> second = slot[2 * SLOT(next) + 1]; at = R_CONFIRM
      fi
    }
  :: d_step { ALIVE(me) && at == R_CONFIRM ->
      /* broadcastConfirm: load CLAIM */
#ifdef BUG_CONFIRM_OFF_BY_ONE
#define WHOLE_UP_TO (CAPACITY + 1)
#elif defined(BUG_NO_CONFIRM)
#define WHOLE_UP_TO TURN
#else
#define WHOLE_UP_TO CAPACITY
#endif
      if
#ifdef BUG_CONFIRM_SIGNED
      :: DISTANCE(claimSeq, next) <= WHOLE_UP_TO || DISTANCE(claimSeq, next) >= TURN / 2 ->
#else
      :: DISTANCE(claimSeq, next) <= WHOLE_UP_TO ->
#endif
          enter();
          /* READ_OK */
          assert(first == STAMP(next) && second == STAMP(next));
          assert(next == dueSeq[me]);
          assert(!(released & BIT(next)));
          if
          :: STATE(place[me]) == LAPPED -> c_code { reach(4, "whole copy of a lapped reader"); }
          :: else
          fi;
          lastSeq[me] = next;
          touches[me] = STAMP(next);
          next = 0;
          count = 1;
          at = R_TOUCH
      :: else ->
          c_code { reach(5, "copy discarded"); };
          assert(isEvicted[me]);
#ifdef BUG_CONFIRM_STAYS_LAPPED
          tellEvicted();
          callEnds()
#else
          at = R_CONFIRM_STORE
#endif
      fi;
      first = 0;
      second = 0
    }
  :: d_step { ALIVE(me) && at == R_CONFIRM_STORE ->
      /* broadcastConfirm: store EVICTED */
      assert(STATE(place[me]) == LAPPED);
      place[me] = PACK(next, EVICTED);
      /* READ_EVICTED */
      tellEvicted();
      callEnds()
    }
  :: d_step { ALIVE(me) && at == R_TOUCH && putBacks > 0 -> putBacks--; count = 0; at = R_FINISH }
  :: d_step { ALIVE(me) && (at == R_FINISH || at == R_TOUCH) ->
      /* broadcastFinish: compareExchange READING -> IDLE */
      touches[me] = 0;
      word = WRAP(nextSeq[me] + count);
      if
#ifdef BUG_FINISH_WITHOUT_EXCHANGE
      :: true ->
#else
      :: place[me] == PACK(nextSeq[me], READING) ->
#endif
          place[me] = PACK(word, IDLE);
          nextSeq[me] = word;
          lastSeq[me] = word;
          if :: !isEvicted[me] -> dueSeq[me] = word :: else fi;
          callEnds()
      :: else ->
          nextSeq[me] = word;
          lastSeq[me] = word;
          at = R_FINISH_STORE
      fi
    }
  :: d_step { ALIVE(me) && at == R_FINISH_STORE ->
      /* broadcastFinish: store EVICTED */
      c_code { reach(6, "lapped reader left"); };
      place[me] = PACK(word, EVICTED);
      callEnds()
    }
  /* --- leave ------------------------------------------------------------------------------- */
  :: d_step { ALIVE(me) && at == R_FREE && reads == 0 ->
      /* broadcastLeave */
      place[me] = PACK(0, ABSENT);
      gone = gone | BIT(me);
      at = R_GONE
    }
  :: at == R_GONE -> break
#if READER_DEATHS
  :: d_step { !ALIVE(me) && at != R_GONE ->
      /* abandonReader by the supervisor: broadcastLeave; then another thread takes the place */
      c_code { reach(7, "reader abandoned"); };
      place[me] = PACK(0, ABSENT);
      isEvicted[me] = 0;
      lostTwice = 0;
      killed = killed & ~BIT(me);
      callEnds()
    }
#endif
  od
}

#if READER_DEATHS
/* A thread ends at any step; nothing of it runs any more, and it touches nothing. */
proctype Killer() {
  byte deaths;
  do
  :: d_step { deaths < READER_DEATHS && !(gone & BIT(0)) ->
      killed = killed | BIT(0);
      touches[0] = 0;
      deaths++
    }
  :: break
  od
}
#endif

#define W_FREE 0
#define W_EVICT_LOAD 1
#define W_EVICT_EXCHANGE 2
#define W_ASIDE_COPY 3
#define W_ASIDE_KEEP 4
#define W_ASIDE_COUNT 5
#define W_EVICT_NEXT 6
#define W_SLOW_LOAD 7
#define W_TAKE_ASIDE 8
#define W_TAKE_KEPT 9
#define W_TAKE_COUNT 10
#define W_TAKE_RELEASE 11
#define W_PASSED_LOAD 12
#define W_ADMIT_NOTE 13
#define W_ADMIT_EXCHANGE 14
#define W_TAKE_PASSED 15
#define W_PASSED_RELEASE 16
#define W_CLAIM 17
#define W_WRITE_FIRST 18
#define W_WRITE_SECOND 19
#define W_PUBLISH 20
#define W_RECOVER 21
#define W_RECOVER_LOAD 22
#define W_LAST 23
#define W_GONE 24

#define C_FREE 0             /* who has called poll or the eviction */
#define C_CLAIM 1
#define C_SLOWEST 2
#define C_LAST 3
#define C_RECOVER 4

#define EVERYBODY (BIT(READERS) - 1)
#define ROOM (CAPACITY - DISTANCE(writeSeq, releasedSeq))

/* A reference is handed out for release: once, the right one, and nobody touches it. */
inline release(s, stamp) {
  assert(stamp == STAMP(s));
  assert(published & BIT(s));
  assert(!(released & BIT(s)));
  assert(touches[0] != stamp);
#if READERS > 1
  assert(touches[1] != stamp);
#endif
  released = released | BIT(s)
}

/* broadcastIsAside */
#if READERS > 1
#define IS_ASIDE(s) (asideKept[0] && asideSeq[0] == (s) || asideKept[1] && asideSeq[1] == (s))
#else
#define IS_ASIDE(s) (asideKept[0] && asideSeq[0] == (s))
#endif

/* broadcastTakeAside: not passed yet */
#ifdef BUG_AHEAD_SIGNED
#define IS_AHEAD(s) (!IS_AFTER(releasedSeq, s))
#else
#define IS_AHEAD(s) (DISTANCE(s, releasedSeq) < CAPACITY)
#endif

inline beginPoll(from) {
  caller = from;
  r = 0;
  s = 0;
  word = 0;
  upTo = 0;
  at = W_TAKE_ASIDE
}

inline pollEnds() {
  r = 0;
  s = 0;
  passed = 0;
  if
  :: caller == C_CLAIM -> assert(ROOM >= 1); at = W_CLAIM
  :: caller == C_LAST -> at = W_LAST
  :: else -> at = W_FREE
  fi;
  caller = C_FREE
}

inline nextPassed() {
  word = 0;
  s = 0;
  r++;
  if :: r < READERS -> at = W_PASSED_LOAD :: else -> r = 0; at = W_TAKE_PASSED fi
}

inline nextEvict() {
  word = 0;
  if
  :: caller == C_CLAIM && r + 1 < READERS -> r++; at = W_EVICT_LOAD
  :: caller == C_RECOVER -> r++; at = (r < READERS -> W_RECOVER_LOAD : W_FREE)
  :: else -> beginPoll(caller)
  fi
}

proctype Writer() {
  byte at, publishes = PUBLISHES, polls = POLLS, slowest = SLOWEST, deaths;
  byte caller, r, s, word, upTo, passed, most, chosen;
  do
  /* --- claim, poll, evictSlowest are called ------------------------------------------------ */
  :: d_step { at == W_FREE && publishes > 0 ->
      /* broadcastRoom: the writer's own words */
      if
      :: ROOM >= 1 -> at = W_CLAIM
      :: else ->
          caller = C_CLAIM;
          upTo = WRAP(writeSeq - CAPACITY);
          r = 0;
          at = W_EVICT_LOAD
      fi
    }
  :: d_step { at == W_FREE && polls > 0 -> polls--; beginPoll(C_FREE) }
  :: d_step { at == W_FREE && slowest > 0 ->
      slowest--;
      chosen = READERS;
      most = 0;
      r = 0;
      at = W_SLOW_LOAD
    }
  :: d_step { at == W_FREE && publishes == 0 && gone == EVERYBODY -> beginPoll(C_LAST) }
  :: d_step { at == W_SLOW_LOAD ->
      /* broadcastEvictSlowest: load a state */
      word = place[r];
      if
      :: (STATE(word) == IDLE || STATE(word) == READING) && DISTANCE(writeSeq, SEQ(word)) > most ->
          most = DISTANCE(writeSeq, SEQ(word));
          chosen = r
      :: else
      fi;
      word = 0;
      r++;
      if
      :: r == READERS && chosen == READERS -> r = 0; chosen = 0; most = 0; at = W_FREE
      :: r == READERS && chosen < READERS ->
          c_code { reach(8, "slowest evicted"); };
          r = chosen;
          chosen = 0;
          most = 0;
          caller = C_SLOWEST;
          upTo = WRAP(writeSeq - 1);
          at = W_EVICT_LOAD
      :: else
      fi
    }
  /* --- broadcastEvict ---------------------------------------------------------------------- */
  :: d_step { at == W_EVICT_LOAD ->
      /* load the state */
      word = place[r];
      if
      :: STATE(word) != IDLE && STATE(word) != READING -> nextEvict()
      :: (STATE(word) == IDLE || STATE(word) == READING) && IS_AFTER(SEQ(word), upTo) -> nextEvict()
      :: else -> at = W_EVICT_EXCHANGE
      fi
    }
  :: d_step { at == W_EVICT_EXCHANGE ->
      /* compareExchange IDLE -> EVICTED, READING -> LAPPED */
      if
#ifdef BUG_EVICT_WITHOUT_EXCHANGE
      :: true ->
#else
      :: place[r] == word ->
#endif
          isEvicted[r] = 1;
          if
          :: STATE(word) == IDLE ->
              c_code { reach(9, "idle reader evicted"); };
              place[r] = PACK(SEQ(word), EVICTED);
              nextEvict()
          :: else ->
              c_code { reach(10, "reader lapped"); };
              place[r] = PACK(SEQ(word), LAPPED);
#ifdef BUG_EVICT_WITHOUT_ASIDE
              nextEvict()
#else
              at = W_ASIDE_COPY
#endif
          fi
      :: else ->
          /* the reader has moved: the writer looks again */
          c_code { reach(11, "eviction tried again"); };
          word = 0;
          at = W_EVICT_LOAD
      fi
    }
  /* --- broadcastSetAside: plain words of the writer ---------------------------------------- */
  :: d_step { at == W_ASIDE_COPY ->
      assert(!asideKept[r]);
      asideValue[r] = slot[2 * SLOT(SEQ(word))];
      asideSeq[r] = SEQ(word);
      at = W_ASIDE_KEEP
    }
  :: d_step { at == W_ASIDE_KEEP -> asideKept[r] = 1; at = W_ASIDE_COUNT }
  :: d_step { at == W_ASIDE_COUNT -> asideCount++; nextEvict() }
  /* --- poll: broadcastTakeAside ------------------------------------------------------------ */
  :: d_step { at == W_TAKE_ASIDE ->
      /* load the state of a reader that has a slot aside */
      do
      :: r < READERS && (asideCount == 0 || !asideKept[r]) -> r++
      :: else -> break
      od;
      if
      :: r == READERS -> r = 0; passed = writeSeq; at = W_PASSED_LOAD
#ifndef BUG_TAKE_ASIDE_WHILE_LAPPED
      :: r < READERS && STATE(place[r]) == LAPPED -> r++
#endif
      :: else -> at = W_TAKE_KEPT
      fi
    }
  :: d_step { at == W_TAKE_KEPT -> asideKept[r] = 0; at = W_TAKE_COUNT }
  :: d_step { at == W_TAKE_COUNT ->
      asideCount--;
      s = asideSeq[r];
      if
#ifndef BUG_ASIDE_RELEASED_EARLY
      :: IS_AHEAD(s) ->
          /* not passed yet */
          c_code { reach(12, "aside left to the passed"); };
          r++;
          s = 0;
          at = W_TAKE_ASIDE
      :: !IS_AHEAD(s) && IS_ASIDE(s) ->
#else
      :: IS_ASIDE(s) ->
#endif
#ifdef BUG_ASIDE_OF_TWO
          at = W_TAKE_RELEASE
#else
          c_code { reach(13, "aside of two readers"); };
          r++;
          s = 0;
          at = W_TAKE_ASIDE
#endif
      :: else -> at = W_TAKE_RELEASE
      fi
    }
  :: d_step { at == W_TAKE_RELEASE ->
      c_code { reach(14, "aside released"); };
      release(s, asideValue[r]);
      asideValue[r] = 0;
      s = 0;
      r = 0;
      at = W_TAKE_ASIDE
    }
  /* --- poll: broadcastPassed, broadcastAdmit ----------------------------------------------- */
  :: d_step { at == W_PASSED_LOAD ->
      /* load the state */
      word = place[r];
      if
#ifdef BUG_ADMIT_WITH_ASIDE
      :: STATE(word) == JOINING -> at = W_ADMIT_NOTE
#else
      :: STATE(word) == JOINING && !asideKept[r] -> at = W_ADMIT_NOTE
      :: STATE(word) == JOINING && asideKept[r] ->
          c_code { reach(15, "not admitted: aside"); };
          nextPassed()
#endif
#ifdef BUG_PASSED_IGNORES_READING
      :: STATE(word) == IDLE ->
#else
      :: STATE(word) == IDLE || STATE(word) == READING ->
#endif
          if :: IS_AFTER(passed, SEQ(word)) -> passed = SEQ(word) :: else fi;
          nextPassed()
      :: else -> nextPassed()
      fi
    }
  :: d_step { at == W_ADMIT_NOTE -> admittedSeq[r] = writeSeq; at = W_ADMIT_EXCHANGE }
  :: d_step { at == W_ADMIT_EXCHANGE ->
      /* compareExchange JOINING -> IDLE */
      if
#ifdef BUG_ADMIT_WITHOUT_EXCHANGE
      :: true ->
#else
      :: place[r] == word ->
#endif
          dueSeq[r] = writeSeq;
          place[r] = PACK(writeSeq, IDLE)
      :: else -> c_code { reach(16, "gone before it was admitted"); }
      fi;
      nextPassed()
    }
  /* --- poll: broadcastTakePassed ----------------------------------------------------------- */
  :: d_step { at == W_TAKE_PASSED ->
      if
      :: !IS_AFTER(passed, releasedSeq) -> pollEnds()
      :: else ->
          s = releasedSeq;
#ifndef BUG_RELEASE_BEFORE_NOTE
          releasedSeq = WRAP(s + 1);
#endif
          if
#ifndef BUG_PASSED_RELEASES_ASIDE
          :: IS_ASIDE(s) ->
              s = 0;
#ifdef BUG_RELEASE_BEFORE_NOTE
              releasedSeq = WRAP(releasedSeq + 1);
#endif
#endif
          :: else -> at = W_PASSED_RELEASE
          fi
      fi
    }
  :: d_step { at == W_PASSED_RELEASE ->
#ifdef BUG_RELEASE_BEFORE_NOTE
      if
      :: word == 0 -> release(s, slot[2 * SLOT(s)]); word = 1
      :: else -> releasedSeq = WRAP(s + 1); word = 0; s = 0; at = W_TAKE_PASSED
      fi
#else
      release(s, slot[2 * SLOT(s)]);
      s = 0;
      at = W_TAKE_PASSED
#endif
    }
  /* --- broadcastClaim, the words of the slot, broadcastPublish ------------------------------ */
  :: d_step { at == W_CLAIM ->
#ifndef BUG_CLAIM_AFTER_WRITE
      claimSeq = WRAP(writeSeq + 1);
#endif
#ifdef BUG_PUBLISH_BEFORE_WRITE
      published = published | BIT(writeSeq);
      writeSeq = WRAP(writeSeq + 1);
#endif
      at = W_WRITE_FIRST
    }
#ifdef BUG_PUBLISH_BEFORE_WRITE
#define WRITTEN WRAP(writeSeq - 1)
#else
#define WRITTEN writeSeq
#endif
  :: d_step { at == W_WRITE_FIRST ->
      slot[2 * SLOT(WRITTEN)] = STAMP(WRITTEN);
      at = W_WRITE_SECOND
    }
  :: d_step { at == W_WRITE_SECOND ->
      slot[2 * SLOT(WRITTEN) + 1] = STAMP(WRITTEN);
      at = W_PUBLISH
    }
  :: d_step { at == W_PUBLISH ->
#ifdef BUG_CLAIM_AFTER_WRITE
      claimSeq = WRAP(writeSeq + 1);
#endif
#ifndef BUG_PUBLISH_BEFORE_WRITE
      published = published | BIT(writeSeq);
      writeSeq = WRAP(writeSeq + 1);
#endif
      publishes--;
      at = W_FREE
    }
  /* --- all readers have left, and a poll is done -------------------------------------------- */
  :: d_step { at == W_LAST ->
      assert(asideCount == 0);
      assert(releasedSeq == writeSeq);
      word = 0;
      s = 0;
      do
      :: s < TURN ->
          if :: (published & BIT(s)) && !(released & BIT(s)) -> word++ :: else fi;
          s++
      :: else -> break
      od;
      assert(word <= leaked);
      at = W_GONE
    }
  :: at == W_GONE -> break
#if WRITER_DEATHS
  /* --- the writer dies at any step; the next one goes on from the shared words -------------- */
  :: d_step { deaths < WRITER_DEATHS && at < W_LAST ->
      deaths++;
      c_code { reach(17, "writer replaced"); };
      if
      :: at == W_TAKE_COUNT || at == W_TAKE_RELEASE || at == W_PASSED_RELEASE ->
          leaked++
      :: else
      fi;
      r = 0; s = 0; word = 0; upTo = 0; passed = 0; most = 0; chosen = 0;
      caller = C_RECOVER;
#ifdef BUG_NO_RECOVER
      caller = C_FREE;
      at = W_FREE
#else
      at = W_RECOVER
#endif
    }
  /* --- broadcastRecover ---------------------------------------------------------------------- */
  :: d_step { at == W_RECOVER ->
      asideCount = 0;
      do
      :: r < READERS -> asideCount = asideCount + asideKept[r]; r++
      :: else -> break
      od;
      r = 0;
      at = W_RECOVER_LOAD
    }
  :: d_step { at == W_RECOVER_LOAD ->
      /* load the state of a reader that has no slot aside */
      word = place[r];
      if
      :: !asideKept[r] && STATE(word) == LAPPED ->
          c_code { reach(18, "aside recovered"); };
          at = W_ASIDE_COPY
      :: else -> nextEvict()
      fi
    }
#endif
  od
}

init {
  byte i;
  atomic {
    writeSeq = START;
    claimSeq = START;
    releasedSeq = START;
    slot[0] = 255;
    slot[1] = 255;
    slot[2] = 255;
    slot[3] = 255;
    do
    :: i < READERS ->
        nextSeq[i] = START;
        lastSeq[i] = START;
        dueSeq[i] = START;
        place[i] = (JOINED -> PACK(START, IDLE) : PACK(0, ABSENT));
        run Reader(i);
        i++
    :: else -> break
    od;
    i = 0;
#if READER_DEATHS
    run Killer();
#endif
    run Writer()
  }
}
