/**
 * MpmcRing: a bounded queue of many pushers and poppers, with members that die at any step.
 *
 * WHAT IT IS   D. Vyukov's bounded MPMC queue (a sequence per slot), as in
 *              src/toolkit/ring/mpmc-kernel.ts: claims of one or more slots by one compare-and-swap,
 *              a note per member before each claim, holes in place of what a dead pusher never
 *              wrote, abandonMember by a supervisor.
 * STEPS        One d_step is one access to shared memory with the local work after it; `at` names
 *              the step, its comment the function of the kernel. Without deaths nobody reads notes,
 *              and they are left out. What the supervisor reads of the dead stands still, and is
 *              read in one step.
 * GHOSTS       What no code has: owner (who holds a slot), values set to 0 when read, published,
 *              gotBy, lost, answered. They are for the assertions only.
 * SHOWN        no slot has two owners; no value is read before it is written or written over before
 *              it is read; no item twice, none lost but those of dead poppers, and of those not
 *              more than abandonMember answered; items of one pusher reach each popper in order;
 *              FULL and EMPTY are true when they are answered; a stale position is never current
 *              (a reload ends); after all deaths every slot is as a new ring would have it, so
 *              that the next push and pop go on; the supervisor is never kept waiting for ever.
 * NOT SHOWN    Anything about an order weaker than sequential consistency (Atomics and atomics of
 *              WebAssembly have no weaker one; plain values are covered by the assertion of the
 *              owner). Counts beyond those of the run: capacity 4, 2 to 4 members, 1 or 2 attempts
 *              each, claims of at most 3 slots, at most 2 deaths. A position that sleeps through a
 *              whole turn of the sequences: they have 32 bits there and 5 here; they start just
 *              below their wrap.
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
#ifndef MEMBERS
#define MEMBERS 4
#endif
#ifndef PUSHES               /* attempts, a decimal digit for each member, member 0 last */
#define PUSHES 22
#endif
#ifndef POPS
#define POPS 2200
#endif
#ifndef BATCH                /* slots that one claim may take */
#define BATCH 1
#endif
#ifndef FILL                 /* items that are there at the start */
#define FILL 0
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifdef BUG_CAPACITY_TWO      /* a hole (t + 2) would look like a free slot (t + capacity) */
#define CAPACITY 2
#else
#define CAPACITY 4
#endif

#define TURN 32              /* where sequences wrap: 2^32 in the code */
#define START 29
#define SLOT(s) ((s) % CAPACITY)
#define WRAP(s) ((s) % TURN)
#define DISTANCE(a, b) (((a) + TURN - (b)) % TURN)
#define IS_BEHIND(a, b) (DISTANCE(a, b) >= TURN / 2)
#define IS_PASSED(seq, t) (DISTANCE(seq, t) > 0 && DISTANCE(seq, t) < TURN / 2)
#define BIT(x) (1 << (x))

/* Items 1..4 of member 0, 5..8 of member 1, 9..12 of member 2, 13..15 from the start. */
#define FIRST_ITEM(m) (4 * (m) + 1)
#define FIRST_FILL 13
/* The items after x of the same pusher. */
#define LATER(x) ((15 << (((x) - 1) / 4 * 4 + 1)) & ~(BIT((x) + 1) - 1))

#define NO_NOTE 0
#define NOTE_PUSH 1
#define NOTE_POP 2

/* Shared memory of the ring. */
byte pushSeq, popSeq;
byte seq[CAPACITY];
byte value[CAPACITY];
#if DEATHS
byte hasEnded[MEMBERS];      /* the supervisor: its thread is dead, and not settled */
byte noteKind[MEMBERS];
byte noteTicket[MEMBERS];
byte noteCount[MEMBERS];
#endif

/* Ghosts. */
byte owner[CAPACITY];        /* member + 1 */
short published;             /* sets of items */
short gotBy[MEMBERS];
short lost;
byte answered;               /* items that abandonMember said are lost */
byte ended;                  /* sets of members */
byte killed;

#if DEATHS
#define ALIVE(m) (!(killed & BIT(m)))
#else
#define ALIVE(m) true
#endif

/* Where a member stands. */
#define IDLE 0
#define PUSH_LOAD 1
#define PUSH_READY 2
#define PUSH_CLAIM 3
#define PUSH_WRITE 4
#define PUSH_PUBLISH 5
#define POP_LOAD 6
#define POP_READY 7
#define POP_CLAIM 8
#define POP_READ 9
#define POP_RELEASE 10
#define STORE_KIND 11
#define STORE_COUNT 12
#define STORE_TICKET 13
#define CLEAR_KIND 14
#define ENDED 15

/* mpmcNote begins where somebody may die; words that say it already are left. */
#if DEATHS
inline beginNote(newKind, after) {
  kind = newKind;
  then = after;
  if
  :: noteKind[me] != kind -> at = STORE_KIND
  :: noteKind[me] == kind && noteCount[me] != n -> at = STORE_COUNT
  :: else -> at = STORE_TICKET
  fi
}
#else
inline beginNote(newKind, after) {
  at = after
}
#endif
#if DEATHS && !defined(BUG_NOTE_AFTER_CLAIM)
#define NOTES_FIRST 1
#else
#define NOTES_FIRST 0
#endif
#if DEATHS && defined(BUG_NOTE_AFTER_CLAIM)
#define NOTES_LATE 1
#else
#define NOTES_LATE 0
#endif

/* The answers "full" and "empty": who has lost a race clears its note. */
inline answer() {
#if DEATHS && !defined(BUG_LOSER_KEEPS_NOTE)
  if :: hasLost -> at = CLEAR_KIND :: else -> at = IDLE fi;
#else
  at = IDLE;
#endif
  hasLost = 0;
  pos = 0
}

inline callEnds() {
  at = IDLE;
  hasLost = 0;
  k = 0;
  n = 0;
  pos = 0
}

#define OWN(slot, who) assert(owner[slot] == 0); owner[slot] = who
#define DISOWN(slot, who) assert(owner[slot] == who); owner[slot] = 0

proctype Member(byte me; byte pushes; byte pops; byte item) {
  byte at, pos, n, k, s;
  bit isHole, hasLost;
#if DEATHS
  byte kind, then;
#endif
  do
  /* --- push ------------------------------------------------------------------------------- */
  :: d_step { ALIVE(me) && (at == PUSH_LOAD || at == IDLE && pushes > 0) ->
      /* mpmcClaimPush: load PUSH */
      if :: at == IDLE -> pushes-- :: else fi;
      pos = pushSeq;
      n = 0;
      at = PUSH_READY;
#ifdef BUG_TICKET_BEFORE_ROOM
      pushSeq = WRAP(pushSeq + 1);
      n = 1;
      owner[SLOT(pos)] = me + 1;
      at = PUSH_WRITE;
#endif
    }
  :: d_step { ALIVE(me) && at == PUSH_READY ->
      /* mpmcReady: load slot.seq of pos + n */
      s = seq[SLOT(pos + n)];
      if
      :: s == WRAP(pos + n) ->
          n++;
#ifdef BUG_BATCH_UNCOUNTED
          n = BATCH;
#endif
      :: else
      fi;
      if
      :: n == BATCH || n > 0 && s != WRAP(pos + n - 1) ->
#if NOTES_FIRST
          beginNote(NOTE_PUSH, PUSH_CLAIM)
#else
          at = PUSH_CLAIM
#endif
      :: n == 0 && IS_BEHIND(s, pos) ->
          /* full */
          c_code { reach(0, "full"); };
          assert(pushSeq == pos);
          assert(DISTANCE(pos, popSeq) >= CAPACITY || owner[SLOT(pos)] != 0);
          answer()
      :: n == 0 && !IS_BEHIND(s, pos) ->
          c_code { reach(2, "stale push"); };
          assert(pushSeq != pos);
          at = PUSH_LOAD
      :: else
      fi;
      s = 0
    }
  :: d_step { ALIVE(me) && at == PUSH_CLAIM ->
      /* mpmcClaimPush: compareExchange PUSH pos -> pos + n */
      if
#ifdef BUG_CLAIM_WITHOUT_EXCHANGE
      :: true ->
#else
      :: pushSeq == pos ->
#endif
          pushSeq = WRAP(pos + n);
          do
          :: k < n -> OWN(SLOT(pos + k), me + 1); k++
          :: else -> break
          od;
          k = 0;
          at = PUSH_WRITE;
#ifdef BUG_PUBLISH_BEFORE_WRITE
          k = n;
          at = PUSH_PUBLISH;
#endif
#if NOTES_LATE
          beginNote(NOTE_PUSH, PUSH_WRITE)
#endif
      :: else -> n = 0; pos = 0; hasLost = 1; at = PUSH_LOAD
      fi
    }
  :: d_step { ALIVE(me) && at == PUSH_WRITE ->
      /* the item of slot pos + k: plain */
      assert(value[SLOT(pos + k)] == 0);
#ifdef BUG_BATCH_REVERSED
      value[SLOT(pos + k)] = item + n - 1 - k;
#else
      value[SLOT(pos + k)] = item + k;
#endif
      k++;
#ifdef BUG_PUBLISH_BEFORE_WRITE
      if :: k == n -> item = item + n; callEnds() :: else fi
#else
      if :: k == n -> at = PUSH_PUBLISH :: else fi
#endif
    }
  :: d_step { ALIVE(me) && at == PUSH_PUBLISH ->
      /* mpmcPublish: store slot.seq, from the last slot to the first */
      k--;
      seq[SLOT(pos + k)] = WRAP(pos + k + 1);
      DISOWN(SLOT(pos + k), me + 1);
#ifdef BUG_PUBLISH_BEFORE_WRITE
      published = published | BIT(item + k);
      if :: k == 0 -> at = PUSH_WRITE :: else fi
#else
      published = published | BIT(value[SLOT(pos + k)]);
      if :: k == 0 -> item = item + n; callEnds() :: else fi
#endif
    }
  /* --- pop -------------------------------------------------------------------------------- */
  :: d_step { ALIVE(me) && (at == POP_LOAD || at == IDLE && pops > 0) ->
      /* mpmcClaimPop: load POP */
      if :: at == IDLE -> pops-- :: else fi;
      pos = popSeq;
      n = 0;
      at = POP_READY
    }
  :: d_step { ALIVE(me) && at == POP_READY ->
      /* mpmcReady: load slot.seq of pos + n */
      s = seq[SLOT(pos + n)];
      if
      :: s == WRAP(pos + n + 1) -> n++
#ifndef BUG_HOLE_NOT_SKIPPED
      :: n == 0 && s == WRAP(pos + 2) -> isHole = 1; n = 1
#endif
      :: else
      fi;
      if
      :: n == BATCH || isHole || n > 0 && s != WRAP(pos + n) ->
#if NOTES_FIRST
#ifdef BUG_HOLE_SKIP_WITHOUT_NOTE
          if :: isHole -> at = POP_CLAIM :: else -> beginNote(NOTE_POP, POP_CLAIM) fi
#else
          beginNote(NOTE_POP, POP_CLAIM)
#endif
#else
          at = POP_CLAIM
#endif
#ifdef BUG_HOLE_NOT_SKIPPED
      :: n == 0 && (IS_BEHIND(s, WRAP(pos + 1)) || s == WRAP(pos + 2)) ->
#else
      :: n == 0 && IS_BEHIND(s, WRAP(pos + 1)) ->
#endif
          /* empty */
          c_code { reach(1, "empty"); };
          assert(popSeq == pos);
          assert(pushSeq == pos || owner[SLOT(pos)] != 0);
          answer()
      :: n == 0 && !IS_BEHIND(s, WRAP(pos + 1)) && s != WRAP(pos + 2) ->
          c_code { reach(3, "stale pop"); };
          assert(popSeq != pos);
          at = POP_LOAD
      :: else
      fi;
      s = 0
    }
  :: d_step { ALIVE(me) && at == POP_CLAIM ->
      /* mpmcClaimPop: compareExchange POP pos -> pos + n */
      if
      :: popSeq == pos ->
          popSeq = WRAP(pos + n);
          hasLost = 0;
          do
          :: k < n -> OWN(SLOT(pos + k), me + 1); k++
          :: else -> break
          od;
          k = 0;
          at = POP_READ;
          if
          :: isHole -> c_code { reach(4, "hole passed"); }; k = 1; at = POP_RELEASE
          :: else
          fi;
          if :: n > 1 -> c_code { reach(5, "batch popped"); } :: else fi;
#ifdef BUG_RELEASE_BEFORE_READ
          k = n;
          at = POP_RELEASE;
#endif
#if NOTES_LATE
          beginNote(NOTE_POP, (isHole -> POP_RELEASE : POP_READ))
#endif
      :: else -> n = 0; pos = 0; isHole = 0; hasLost = 1; at = POP_LOAD
      fi
    }
  :: d_step { ALIVE(me) && at == POP_READ ->
      /* the item of slot pos + k: plain */
      s = value[SLOT(pos + k)];
      assert(s != 0);
      assert(!(gotBy[me] & BIT(s)));
      assert(!(gotBy[me] & LATER(s)));
      gotBy[me] = gotBy[me] | BIT(s);
      value[SLOT(pos + k)] = 0;
      s = 0;
      k++;
#ifdef BUG_RELEASE_BEFORE_READ
      if :: k == n -> callEnds() :: else fi
#else
      if :: k == n -> at = POP_RELEASE :: else fi
#endif
    }
  :: d_step { ALIVE(me) && at == POP_RELEASE ->
      /* mpmcRelease: store slot.seq, from the last slot to the first */
      k--;
#ifdef BUG_SEQ_OFF_BY_ONE
      seq[SLOT(pos + k)] = WRAP(pos + k + CAPACITY - 1);
#else
      seq[SLOT(pos + k)] = WRAP(pos + k + CAPACITY);
#endif
      DISOWN(SLOT(pos + k), me + 1);
      if
      :: k == 0 && isHole -> isHole = 0; n = 0; pos = 0; at = POP_LOAD
#ifdef BUG_RELEASE_BEFORE_READ
      :: k == 0 && !isHole -> at = POP_READ
#else
      :: k == 0 && !isHole -> callEnds()
#endif
      :: else
      fi
    }
#if DEATHS
  /* --- mpmcNote: three stores, in this order ----------------------------------------------- */
  :: d_step { ALIVE(me) && at == STORE_KIND ->
      noteKind[me] = kind;
      if :: noteCount[me] != n -> at = STORE_COUNT :: else -> at = STORE_TICKET fi
    }
  :: d_step { ALIVE(me) && at == STORE_COUNT ->
#ifdef BUG_NOTE_COUNT_STALE
      if :: noteCount[me] == 0 -> noteCount[me] = 1 :: else fi;
#else
      noteCount[me] = n;
#endif
      at = STORE_TICKET
    }
  :: d_step { ALIVE(me) && at == STORE_TICKET ->
      noteTicket[me] = pos;
      at = then;
      then = 0;
      kind = 0
    }
  :: d_step { ALIVE(me) && at == CLEAR_KIND ->
      c_code { reach(10, "note of a loser cleared"); };
      noteKind[me] = NO_NOTE;
      at = IDLE
    }
#endif
  :: d_step { ALIVE(me) && at == IDLE && pushes == 0 && pops == 0 ->
      at = ENDED;
      ended = ended | BIT(me)
    }
  :: at == ENDED -> break
#if DEATHS
  :: !ALIVE(me) -> break
#endif
  od
}

#define EVERYBODY (BIT(MEMBERS) - 1)

#define ALL_ENDED ((ended | killed) == EVERYBODY)

/* What must hold when nobody moves any more: the ring is as good as new. */
inline checkRest() {
  p = popSeq;
  do
  :: p != pushSeq ->
      assert(owner[SLOT(p)] == 0);
      assert(seq[SLOT(p)] == WRAP(p + 1) || seq[SLOT(p)] == WRAP(p + 2));
      if
      :: seq[SLOT(p)] == WRAP(p + 1) -> held = held | BIT(value[SLOT(p)])
      :: else -> assert(value[SLOT(p)] == 0)
      fi;
      p = WRAP(p + 1);
      rest++
  :: else -> break
  od;
  assert(rest <= CAPACITY);
  do
  :: rest < CAPACITY ->
      assert(owner[SLOT(p)] == 0 && seq[SLOT(p)] == p && value[SLOT(p)] == 0);
      p = WRAP(p + 1);
      rest++
  :: else -> break
  od;
  /* every published item is in exactly one place */
  rest = 0;
  do
  :: rest < MEMBERS ->
      assert(!(held & gotBy[rest]));
      held = held | gotBy[rest];
      rest++
  :: else -> break
  od;
  assert(!(held & lost));
  assert((held | lost) == published);
  rest = 0;
  do
  :: lost != 0 -> rest = rest + (lost & 1); lost = (lost >> 1) & 32767
  :: else -> break
  od;
  assert(rest <= answered)
}

#if DEATHS
#define NAMES(m, t) (DISTANCE(t, noteTicket[m]) < noteCount[m])

#define LOOK 0
#define SEE_PASSED 1
#define SEE_KIND 2
#define SEE_TICKET 3
#define SEE_COUNT 4
#define SEE_SLOT 5
#define SETTLE_SLOT 6
#define SETTLE_STORE 7
#define SPENT 8

/* To be abandoned: dead, not yet settled, and what made it answer "again" has changed. */
#define MAY_ABANDON(m) (!ALIVE(m) && !(settled & BIT(m)) && (waitsFor[m] == 0 || \
  hasEnded[waitsFor[m] - 1] || noteKind[waitsFor[m] - 1] != noteKind[m] || \
  !NAMES(waitsFor[m] - 1, waitTicket[m]) || !IS_LEFT(m, waitTicket[m])))

/* mpmcIsLeft: taken, and not given up */
#define IS_LEFT(m, t) (noteKind[m] == NOTE_PUSH && seq[SLOT(t)] == (t) || \
  noteKind[m] == NOTE_POP && (seq[SLOT(t)] == WRAP((t) + 1) || seq[SLOT(t)] == WRAP((t) + 2)))

/* abandonMember(x) begins: `ended` first, so that two dead members do not wait for each other. */
inline beginAbandon(x) {
  m = x;
  waitsFor[m] = 0;
  waitTicket[m] = 0;
#ifndef BUG_ABANDON_MARKS_LATE
  hasEnded[m] = 1;
#endif
  if
  :: noteKind[m] == NO_NOTE -> abandonEnds()
#ifdef BUG_ABANDON_PASSED_LAST
  :: else -> taken = noteCount[m]; nextMember()
#else
  :: else -> at = SEE_PASSED
#endif
  fi
}

inline abandonEnds() {
  noteKind[m] = NO_NOTE;
  hasEnded[m] = 0;
  settled = settled | BIT(m);
  k = 0;
  taken = 0;
  m = 0;
  at = LOOK
}

/* mpmcIsNoted goes on: the next member whose thread runs; after the last one, mpmcIsLeft. */
inline nextMember() {
  do
  :: w < MEMBERS && (w == m || hasEnded[w] || settled & BIT(w)) -> w++
  :: else -> break
  od;
  if :: w < MEMBERS -> at = SEE_KIND :: else -> at = SEE_SLOT fi;
#ifdef BUG_ABANDON_IGNORES_LIVE
  w = MEMBERS;
  at = SEE_SLOT;
#endif
}

inline nextSettled() {
  if
  :: k == 0 -> abandonEnds()
  :: else -> k--; at = SETTLE_SLOT
  fi
}

#define TICKET WRAP(noteTicket[m] + k)

/**
 * Ends threads at any step, then calls abandonMember for each. That answers "again" when a live
 * member's note names a slot in question; it is called again when that note or slot has changed.
 * If neither ever did, this would be an end state that is none: an error.
 */
proctype Supervisor() {
  byte at, deaths, m, k, w, s, taken, settled, p, rest;
  byte waitsFor[MEMBERS], waitTicket[MEMBERS];
  short held;
  do
  /* a thread ends; nothing of it runs any more */
  :: d_step { deaths < DEATHS && ALIVE(0) -> killed = killed | BIT(0); deaths++ }
#if MEMBERS > 1
  :: d_step { deaths < DEATHS && ALIVE(1) -> killed = killed | BIT(1); deaths++ }
#endif
#if MEMBERS > 2
  :: d_step { deaths < DEATHS && ALIVE(2) -> killed = killed | BIT(2); deaths++ }
#endif
#if MEMBERS > 3
  :: d_step { deaths < DEATHS && ALIVE(3) -> killed = killed | BIT(3); deaths++ }
#endif
  :: d_step { at == LOOK && MAY_ABANDON(0) -> beginAbandon(0) }
#if MEMBERS > 1
  :: d_step { at == LOOK && MAY_ABANDON(1) -> beginAbandon(1) }
#endif
#if MEMBERS > 2
  :: d_step { at == LOOK && MAY_ABANDON(2) -> beginAbandon(2) }
#endif
#if MEMBERS > 3
  :: d_step { at == LOOK && MAY_ABANDON(3) -> beginAbandon(3) }
#endif
  :: d_step { at == SEE_PASSED ->
      /* mpmcSettle: load PUSH or POP: how many of the tickets were given to anybody */
      s = DISTANCE((noteKind[m] == NOTE_PUSH -> pushSeq : popSeq), noteTicket[m]);
      if :: s >= TURN / 2 -> s = 0 :: else fi;
#ifdef BUG_ABANDON_PASSED_ONCE
      if :: s > 0 -> s = noteCount[m] :: else fi;
#endif
      taken = (s < noteCount[m] -> s : noteCount[m]);
      s = 0;
      if
      :: taken == 0 -> abandonEnds()
#ifdef BUG_ABANDON_PASSED_LAST
      :: else -> k = taken; nextSettled()
#else
      :: else -> nextMember()
#endif
      fi
    }
  :: d_step { at == SEE_KIND ->
      /* mpmcIsNoted: load note.kind of a live member; of another kind, the rest is not looked at */
      if :: noteKind[w] == noteKind[m] -> at = SEE_TICKET :: else -> w++; nextMember() fi
    }
  :: d_step { at == SEE_TICKET ->
      /* mpmcIsNoted: load note.ticket */
      s = noteTicket[w];
      at = SEE_COUNT
    }
  :: d_step { at == SEE_COUNT ->
      /* mpmcIsNoted: load note.count */
      if :: DISTANCE(TICKET, s) < noteCount[w] -> at = SEE_SLOT :: else -> w++; nextMember() fi;
      s = 0
    }
  :: d_step { at == SEE_SLOT ->
      /* mpmcIsLeft: load slot.seq; w: the live member that names the ticket, MEMBERS for nobody */
      if
      :: w < MEMBERS && IS_LEFT(m, TICKET) ->
          /* again later */
          c_code { reach(6, "abandon again"); };
          waitsFor[m] = w + 1;
          waitTicket[m] = TICKET;
          taken = 0;
          k = 0;
          w = 0;
          m = 0;
          at = LOOK
      :: else ->
          k++;
          w = 0;
          if
          :: k < taken -> nextMember()
#ifdef BUG_ABANDON_PASSED_LAST
          :: else -> k = 0; at = SEE_PASSED
#else
          :: else -> nextSettled()
#endif
          fi
      fi
    }
  :: d_step { at == SETTLE_SLOT ->
      /* mpmcSettle, mpmcIsLeft: load slot.seq */
      s = seq[SLOT(noteTicket[m] + k)];
#ifdef BUG_SETTLE_WITHOUT_LOOK
      if :: true -> at = SETTLE_STORE
#else
      if
      :: IS_LEFT(m, TICKET) -> at = SETTLE_STORE
#endif
      :: else -> s = 0; nextSettled()
      fi
    }
  :: d_step { at == SETTLE_STORE ->
      /* mpmcSettle: store slot.seq. The owner was dead: this member or another one. */
      assert(seq[SLOT(TICKET)] == s);
      assert(owner[SLOT(TICKET)] != 0);
      assert(!ALIVE(owner[SLOT(TICKET)] - 1));
      owner[SLOT(TICKET)] = 0;
      if
      :: noteKind[m] == NOTE_PUSH ->
          /* mpmcSettle counts it, too; what was never published, `answered` leaves out */
          c_code { reach(7, "hole made"); };
          seq[SLOT(TICKET)] = WRAP(TICKET + 2)
      :: else ->
#ifndef BUG_LOSS_UNANSWERED
          if
          :: s == WRAP(TICKET + 1) -> c_code { reach(8, "loss answered"); }; answered++
          :: else -> c_code { reach(9, "hole of a dead popper freed"); }
          fi;
#endif
          seq[SLOT(TICKET)] = WRAP(TICKET + CAPACITY);
          if :: value[SLOT(TICKET)] -> lost = lost | BIT(value[SLOT(TICKET)]) :: else fi
      fi;
      value[SLOT(TICKET)] = 0;
      s = 0;
      nextSettled()
    }
  :: d_step { at == LOOK && ALL_ENDED && (settled & killed) == killed ->
      checkRest();
      at = SPENT
    }
  :: at == SPENT -> break
  od
}
#else
proctype Supervisor() {
  byte p, rest;
  short held;
  d_step { ALL_ENDED -> checkRest() }
}
#endif

init {
  byte i;
  short pushes = PUSHES, pops = POPS;
  d_step {
    pushSeq = WRAP(START + FILL);
    popSeq = START;
    do
    :: i < CAPACITY ->
        seq[SLOT(START + i)] = WRAP(START + i + (i < FILL -> 1 : 0));
        if
        :: i < FILL ->
            value[SLOT(START + i)] = FIRST_FILL + i;
            published = published | BIT(FIRST_FILL + i)
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
  }
  atomic {
    do
    :: i < MEMBERS ->
        run Member(i, pushes % 10, pops % 10, FIRST_ITEM(i));
        pushes = pushes / 10;
        pops = pops / 10;
        i++
    :: else -> break
    od;
    i = 0;
    run Supervisor()
  }
}
